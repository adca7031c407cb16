/** Candidates that fit their frame and are nonsense besides: the sampler draws some token of the vocabulary from them, or refuses the row. */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import { Sampler } from "../../src/engine/sampler.ts";
import { NEUTRAL } from "./sampler_reference.ts";

const VOCABULARY = 50;

const f32 = fc.oneof(
  fc.double({ min: -40, max: 40, noNaN: true }),
  fc.constantFrom(NaN, Infinity, -Infinity, 3.4e38, -3.4e38, 1e-45, -0),
).map(Math.fround);
const f32s = (length: number) =>
  fc.array(f32, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values));
const token = fc.integer({ min: 0, max: VOCABULARY - 1 });

const candidates = fc.integer({ min: 0, max: VOCABULARY }).chain((count) =>
  fc.record({
    ids: fc.array(token, { minLength: count, maxLength: count }).map((ids) => Uint32Array.from(ids)),
    logits: f32s(count),
    logSumExp: f32,
  })
);

const params = fc.record({
  temperature: fc.constantFrom(0, 0.01, 0.6, 1, 2),
  topK: fc.constantFrom(0, 1, 5, VOCABULARY),
  topP: fc.constantFrom(0.1, 0.9, 1),
  minP: fc.constantFrom(0, 0.1),
  presencePenalty: fc.constantFrom(0, 1, -1),
  repetitionPenalty: fc.constantFrom(1, 0.5, 2),
  logitBias: fc.array(fc.tuple(token, fc.constantFrom(-100, 3, 100)), { maxLength: 3 }),
  seed: fc.nat(),
});

Deno.test("sample() takes a token of the vocabulary from whatever candidates, or throws RangeError", async () => {
  const sampler = await Sampler.create(VOCABULARY);
  let drawn = 0;
  let refused = 0;
  const logprobs = fc.constantFrom(null, 0, 5, VOCABULARY);
  const property = fc.asyncProperty(
    params,
    candidates,
    fc.option(f32s(VOCABULARY)),
    logprobs,
    async (own, candidates, row, logprobs) => {
      const sequence = sampler.sequence({ ...NEUTRAL, ...own }, Uint32Array.of(3, 4));
      try {
        const sampled = await sequence.sample({ candidates, row: row && (() => Promise.resolve(row)) }, logprobs);
        assert.ok(sampled === null ? row === null : sampled.id < VOCABULARY);
        drawn++;
      } catch (error) {
        assert.ok(error instanceof RangeError && error.message.startsWith("Cannot sample from this row"), `${error}`);
        refused++;
      }
    },
  );
  await fc.assert(property, { numRuns: 3000 });
  assert.ok(drawn > 100 && refused > 100, `${drawn} drawn, ${refused} refused`);
});

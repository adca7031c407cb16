/** Sampling within a grammar: the same token as from a row in which what may not come next is -Infinity, by the candidates or the row. */
import assert from "node:assert/strict";
import { literal, repeat, Rules, sequence } from "../../src/grammar/expression.ts";
import { Matcher } from "../../src/grammar/matcher.ts";
import { TokenMasks } from "../../src/grammar/token_masks.ts";
import { Vocabulary } from "../../src/grammar/vocabulary.ts";
import { Sampler } from "../../src/engine/sampler.ts";
import type { SamplingParams } from "../../src/pipeline/requests.ts";
import { END, schemaGrammar, SHARED, TOKENS } from "../grammar/vocabulary.ts";
import { CountedRow, generator, NEUTRAL, normal } from "./sampler_reference.ts";

const SIZE = TOKENS.length;
const EMPTY = new Uint32Array();
const vocabulary = new Vocabulary(SHARED, SIZE);
const sampler = await Sampler.create(SIZE, SHARED);
const pick = <T>(random: () => number, values: readonly T[]): T => values[Math.floor(random() * values.length)]!;

const SCHEMAS = [
  true,
  {
    type: "object",
    properties: { name: { type: "string", maxLength: 6 }, n: { type: "integer", minimum: 3 } },
    required: ["name", "n"],
  },
  { type: "array", items: { enum: ["a", "value", true, 12] }, minItems: 2 },
  { type: "string", pattern: "^(the|é)+$" },
];

function randomParams(random: () => number): SamplingParams {
  const token = () => Math.floor(random() * SIZE);
  return {
    ...NEUTRAL,
    temperature: pick(random, [0, 0.3, 0.6, 1, 1.5, 1e3]),
    topK: pick(random, [0, 0, 1, 2, 20, 200]),
    topP: pick(random, [1, 1, 0.95, 0.5, 0.05]),
    minP: pick(random, [0, 0, 0.05, 0.5]),
    repetitionPenalty: pick(random, [1, 1, 1, 1.2]),
    frequencyPenalty: pick(random, [0, 0, 0.5]),
    logitBias: pick(random, [[], [], [[token(), -100]], [[token(), 5]]]),
    seed: Math.floor(random() * 2 ** 53),
  };
}

Deno.test("sample() within a grammar gives what a row gives in which all else is -Infinity", async () => {
  const random = generator(5);
  const counts = { tokens: 0, reads: 0 };
  for (let i = 0; i < 150; i++) {
    const grammar = schemaGrammar(pick(random, SCHEMAS));
    const params = randomParams(random);
    const [perRow, scale] = [pick(random, [1, 4, 16, 64]), pick(random, [0.1, 2, 10])];
    const [held, whole, free] = [
      sampler.sequence(params, EMPTY, grammar, [END]),
      sampler.sequence(params, EMPTY, grammar, [END]),
      sampler.sequence(params, EMPTY),
    ];
    const matcher = new Matcher(new TokenMasks(grammar, vocabulary), [END]);
    for (let step = 0; step < 40; step++) {
      const row = Float32Array.from(TOKENS, () => scale * normal(random));
      for (let id = 0; id < 20; id++) row[Math.floor(random() * SIZE)]! += scale; // what is likely is mostly not allowed
      const masked = row.map((logit, id) => matcher.allows(id) ? logit : -Infinity);
      const source = new CountedRow(row, perRow);
      const { id } = await held.sample(source, null);
      counts.tokens++;
      counts.reads += source.reads;
      assert.equal((await whole.sample(new CountedRow(row, 0), null)).id, id);
      assert.equal((await free.sample(new CountedRow(masked, 0), null)).id, id, JSON.stringify(params));
      if (id === END) break;
      matcher.accept(id);
    }
  }
  assert.ok(counts.reads > 0 && counts.reads < 0.8 * counts.tokens, JSON.stringify(counts));
});

Deno.test("sample() within a grammar reports the model's own log-probabilities", async () => {
  const row = Float32Array.from(TOKENS, (_, id) => id === 0x78 ? 9 : 0);
  const sequence = sampler.sequence({ ...NEUTRAL, temperature: 0 }, EMPTY, schemaGrammar({ type: "null" }), [END]);
  const token = await sequence.sample(new CountedRow(row, 4), 1);
  assert.ok(token.id === 0x6e || TOKENS[token.id]![0] === 0x6e);
  assert.equal(token.top?.[0]?.[0], 0x78);
  assert.ok(Math.abs(token.logprob! + Math.log(Math.exp(9) + SIZE - 1)) < 1e-3, String(token.logprob));
});

Deno.test("a token that alone may follow comes without reading the row", async () => {
  const rules = new Rules();
  const grammar = rules.grammar("qz", sequence(literal("qz"), repeat(literal("q"), 2, 2)));
  const sequence_ = sampler.sequence({ ...NEUTRAL }, EMPTY, grammar, [END]);
  const source = new CountedRow(Float32Array.from(TOKENS, (_, id) => -id), 8);
  const ids: number[] = [];
  for (let i = 0; i < 5; i++) ids.push((await sequence_.sample(source, null)).id);
  assert.deepEqual(ids, [..."qzqq"].map((one) => one.charCodeAt(0)).concat(END));
  assert.equal(source.reads, 0);
});

Deno.test("a sequence with a grammar does not go on by itself on the device", () => {
  const grammar = schemaGrammar(true);
  assert.equal(sampler.sequence(NEUTRAL, EMPTY, grammar, [END]).draws(5).length, 0);
  assert.equal(sampler.sequence(NEUTRAL, EMPTY).draws(5).length, 5);
});

Deno.test("accept() and mayFollow() keep to the grammar", () => {
  const sequence = sampler.sequence(NEUTRAL, EMPTY, schemaGrammar({ type: "boolean" }), [END]);
  const ids = (text: string) => [...text].map((one) => one.charCodeAt(0));
  assert.ok(sequence.mayFollow(ids("true")) && sequence.mayFollow([]) && !sequence.mayFollow(ids("trx")));
  for (const id of ids("true")) sequence.accept(id);
  assert.throws(() => sequence.accept(0x65), /^RangeError: Cannot go on with token 101/);
});

Deno.test("a grammar is refused where the tokens' bytes are not known, and fails where no token fits", async () => {
  const blind = await Sampler.create(SIZE);
  assert.throws(() => blind.sequence(NEUTRAL, EMPTY, schemaGrammar(true), []), /^RangeError: Cannot hold an answer/);
  const few = { bytes: SHARED.bytes.slice(0, 10), offsets: SHARED.offsets.slice(0, 11) }; // the bytes 0 to 9
  const poor = await Sampler.create(SIZE, few);
  const sequence = poor.sequence(NEUTRAL, EMPTY, schemaGrammar(true), []);
  const source = new CountedRow(new Float32Array(SIZE), 4);
  await assert.rejects(
    async () => await sequence.sample(source, null),
    /^GrammarError: Cannot go on within the answer's grammar/,
  );
});

Deno.test("other sequences with the same grammar change nothing", async () => {
  const grammar = schemaGrammar(true);
  const run = async () => {
    const sequence = sampler.sequence({ ...NEUTRAL, seed: 4 }, EMPTY, grammar, [END]);
    const random = generator(9);
    const ids: number[] = [];
    for (let i = 0; i < 60 && ids.at(-1) !== END; i++) {
      const row = Float32Array.from(TOKENS, () => 3 * normal(random));
      ids.push((await sequence.sample(new CountedRow(row, 8), null)).id);
    }
    return ids;
  };
  const alone = await run();
  assert.deepEqual(await Promise.all([run(), run(), run()]), [alone, alone, alone]);
});

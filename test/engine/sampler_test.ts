/** The sampler by its API: ties, seeds, extremes, log-probabilities, and what wrong parameters and rows are told. */
import assert from "node:assert/strict";
import { Sampler } from "../../src/engine/sampler.ts";
import type { SamplingParams } from "../../src/pipeline/requests.ts";
import { CountedRow, NEUTRAL } from "./sampler_reference.ts";

const LOGITS = Float32Array.of(1, 3, -2, 3, 0.5, 2, -1, 0);
const EMPTY = new Uint32Array();

async function sampleIds(
  logits: Float32Array,
  params: Partial<SamplingParams>,
  { count = 1, perRow = 4, prompt = EMPTY } = {},
): Promise<number[]> {
  const sequence = (await Sampler.create(logits.length)).sequence({ ...NEUTRAL, ...params }, prompt);
  const source = new CountedRow(logits, perRow);
  const ids: number[] = [];
  for (let i = 0; i < count; i++) ids.push((await sequence.sample(source, null)).id);
  return ids;
}

Deno.test("sample() at temperature 0 takes the largest logit and of equal ones the lowest id", async () => {
  for (const perRow of [0, 1, 4, 8]) {
    assert.deepEqual(await sampleIds(LOGITS, { temperature: 0 }, { perRow, count: 3 }), [1, 1, 1]);
  }
});

Deno.test("sample() treats -0 and 0 as a tie", async () => {
  for (const perRow of [0, 2, 4]) {
    assert.deepEqual(await sampleIds(Float32Array.of(-1, -0, 0, -0), { temperature: 0 }, { perRow }), [1]);
  }
});

Deno.test("sample() with topK 1 is greedy for every seed and temperature", async () => {
  const sampler = await Sampler.create(LOGITS.length);
  for (const perRow of [0, 1, 4]) {
    const source = new CountedRow(LOGITS, perRow);
    for (let seed = 0; seed < 200; seed++) {
      const sequence = sampler.sequence({ ...NEUTRAL, topK: 1, temperature: 0.1 + seed, seed }, EMPTY);
      assert.equal((await sequence.sample(source, null)).id, 1);
    }
    assert.equal(source.reads, perRow === 0 ? 200 : 0);
  }
});

Deno.test("sample() gives the same answer for the same seed, whatever else the sampler does", async () => {
  const sampler = await Sampler.create(LOGITS.length);
  const source = new CountedRow(LOGITS, 3);
  const alone = sampler.sequence({ ...NEUTRAL, seed: 7 }, EMPTY);
  const answer: number[] = [];
  for (let i = 0; i < 50; i++) answer.push((await alone.sample(source, null)).id);
  const again = sampler.sequence({ ...NEUTRAL, seed: 7 }, EMPTY);
  const other = sampler.sequence({ ...NEUTRAL, seed: 8, repetitionPenalty: 1.2 }, EMPTY);
  const both = { again: [] as number[], other: [] as number[] };
  for (let i = 0; i < 50; i++) {
    const [mine, theirs] = await Promise.all([again.sample(source, 2), other.sample(source, null)]);
    both.again.push(mine.id);
    both.other.push(theirs.id);
  }
  assert.deepEqual(both.again, answer);
  assert.notDeepEqual(both.other, answer);
});

Deno.test("sample() moves on by one random number for each accepted token", async () => {
  const sampler = await Sampler.create(LOGITS.length);
  const source = new CountedRow(LOGITS, 8);
  const [sampled, forced] = [sampler.sequence(NEUTRAL, EMPTY), sampler.sequence(NEUTRAL, EMPTY)];
  const ids: number[] = [];
  for (let i = 0; i < 20; i++) ids.push((await sampled.sample(source, null)).id);
  for (let i = 0; i < 10; i++) forced.accept(0);
  for (const id of ids.slice(10)) assert.equal((await forced.sample(source, null)).id, id);
});

Deno.test("sample() with a bias of 100 forces a token, with -100 bans it", async () => {
  for (const perRow of [0, 2, 8]) {
    const forced = await sampleIds(LOGITS, { logitBias: [[2, 100]] }, { perRow, count: 50 });
    assert.deepEqual(new Set(forced), new Set([2]));
    const banned = await sampleIds(LOGITS, { logitBias: [[1, -100], [3, -100]] }, { perRow, count: 500 });
    assert.ok(!banned.includes(1) && !banned.includes(3));
    assert.ok(new Set(banned).size >= 5, "all others still occur");
  }
});

Deno.test("sample() adds the biases of a token that is named twice", async () => {
  const params = { temperature: 0, logitBias: [[2, 3], [2, 3]] as const };
  assert.deepEqual(await sampleIds(LOGITS, params), [2]);
});

Deno.test("sample() never overflows: huge, tiny and infinite logits, extreme temperatures and penalties", async () => {
  const huge = Float32Array.of(1e4, -1e4, 9999, -Infinity, 0, 3.4e38 * 0);
  const wide = Float32Array.of(3.4e38, -3.4e38, 0, -Infinity);
  for (const perRow of [0, 1, 2, 4]) {
    assert.deepEqual(await sampleIds(huge, { temperature: 1e-3 }, { perRow, count: 5 }), [0, 0, 0, 0, 0]);
    assert.deepEqual(await sampleIds(wide, { temperature: 1 }, { perRow, count: 2 }), [0, 0]);
    assert.deepEqual(await sampleIds(LOGITS, { temperature: 1e-44, topK: 1 }, { perRow }), [1]);
    assert.deepEqual(await sampleIds(LOGITS, { temperature: 1e-300 }, { perRow }), [1], "0 as f32 is greedy");
    const tiny = { temperature: 0, repetitionPenalty: 1e-40 };
    assert.deepEqual(await sampleIds(LOGITS, tiny, { perRow, prompt: Uint32Array.of(5) }), [5]);
    const flat = await sampleIds(huge, { temperature: 1e38 }, { perRow, count: 400 });
    assert.deepEqual([...new Set(flat)].sort(), [0, 1, 2, 4, 5]);
  }
});

Deno.test("sample() spreads over all tokens at temperature 1000 and over one at 0.001", async () => {
  assert.equal(new Set(await sampleIds(LOGITS, { temperature: 1e3 }, { count: 300 })).size, 8);
  const single = Float32Array.of(1, 3, -2, 2.9);
  assert.deepEqual(new Set(await sampleIds(single, { temperature: 1e-3 }, { count: 300 })), new Set([1]));
});

Deno.test("sample() reports the model's own log-probabilities, the alternatives by falling probability", async () => {
  const sampler = await Sampler.create(LOGITS.length);
  const params = { ...NEUTRAL, temperature: 0, logitBias: [[0, 100]] as const };
  const total = Math.log(LOGITS.reduce((sum, logit) => sum + Math.exp(logit), 0));
  for (const perRow of [0, 2, 4, 8]) {
    const source = new CountedRow(LOGITS, perRow);
    const token = await sampler.sequence(params, EMPTY).sample(source, 3);
    assert.equal(token.id, 0);
    assert.ok(Math.abs((token.logprob ?? NaN) - (1 - total)) < 1e-6);
    assert.deepEqual(token.top?.map(([id]) => id), [1, 3, 5]);
    for (const [id, logprob] of token.top ?? []) assert.ok(Math.abs(logprob - ((LOGITS[id] ?? NaN) - total)) < 1e-6);
    assert.equal(source.reads, perRow < 4 ? 1 : 0, "the row is read once, and only where 3 or token 0 are unknown");
  }
  assert.deepEqual((await sampler.sequence(params, EMPTY).sample(new CountedRow(LOGITS, 4), 0)).top, []);
  assert.deepEqual(await sampler.sequence(params, EMPTY).sample(new CountedRow(LOGITS, 4), null), { id: 0 });
});

Deno.test("sample() never reports a probability above 1", async () => {
  const sampler = await Sampler.create(3);
  const token = await sampler.sequence(NEUTRAL, EMPTY).sample(
    new CountedRow(Float32Array.of(20, -90, -90), 3, -1e-5),
    0,
  );
  assert.equal(token.logprob, 0);
});

Deno.test("sample() refuses rows without a distribution", async () => {
  const rows: [number[], RegExp][] = [
    [[1, NaN, 2], /log-sum-exp is NaN/],
    [[1, Infinity, 2], /log-sum-exp is NaN/],
    [[-Infinity, -Infinity, -Infinity], /log-sum-exp is NaN/],
  ];
  for (const [row, message] of rows) {
    await assert.rejects(sampleIds(Float32Array.from(row), {}), { name: "RangeError", message });
  }
  const sampler = await Sampler.create(3);
  const candidates = { ids: EMPTY, logits: new Float32Array(), logSumExp: 1 };
  const cases: [number[], RegExp][] = [
    [[1, NaN, 2], /the largest logit is NaN/],
    [[1, Infinity, 2], /the largest logit is Infinity/],
    [[-Infinity, -Infinity, -Infinity], /every logit is -Infinity/],
    [[1, 2], /a row of 2 logits: the vocabulary has 3 tokens/],
  ];
  for (const [row, message] of cases) {
    const source = { candidates, row: () => Promise.resolve(Float32Array.from(row)) };
    await assert.rejects(async () => await sampler.sequence(NEUTRAL, EMPTY).sample(source, null), {
      name: "RangeError",
      message,
    });
  }
});

Deno.test("sequence() names a parameter that is out of range, and its value", async () => {
  const sampler = await Sampler.create(8);
  const cases: [Partial<SamplingParams>, string][] = [
    [{ temperature: -0.1 }, "temperature -0.1"],
    [{ temperature: NaN }, "temperature NaN"],
    [{ temperature: Infinity }, "temperature Infinity"],
    [{ temperature: 1e39 }, "temperature 1e+39"],
    [{ topK: -1 }, "topK -1"],
    [{ topK: 1.5 }, "topK 1.5"],
    [{ topK: NaN }, "topK NaN"],
    [{ topP: 0 }, "topP 0"],
    [{ topP: 1.01 }, "topP 1.01"],
    [{ topP: NaN }, "topP NaN"],
    [{ minP: -0.5 }, "minP -0.5"],
    [{ minP: 2 }, "minP 2"],
    [{ minP: NaN }, "minP NaN"],
    [{ repetitionPenalty: 0 }, "repetitionPenalty 0"],
    [{ repetitionPenalty: -1 }, "repetitionPenalty -1"],
    [{ repetitionPenalty: Infinity }, "repetitionPenalty Infinity"],
    [{ presencePenalty: 2.1 }, "presencePenalty 2.1"],
    [{ frequencyPenalty: -2.1 }, "frequencyPenalty -2.1"],
    [{ frequencyPenalty: NaN }, "frequencyPenalty NaN"],
    [{ seed: 0.5 }, "seed 0.5"],
    [{ seed: 2 ** 53 }, "seed 9007199254740992"],
    [{ logitBias: [[8, 1]] }, "logitBias token 8"],
    [{ logitBias: [[-1, 1]] }, "logitBias token -1"],
    [{ logitBias: [[3, 101]] }, "logitBias of token 3 101"],
    [{ logitBias: [[3, NaN]] }, "logitBias of token 3 NaN"],
  ];
  for (const [params, what] of cases) {
    assert.throws(() => sampler.sequence({ ...NEUTRAL, ...params }, EMPTY), (error: Error) => {
      assert.equal(error.name, "RangeError");
      assert.ok(error.message.startsWith(`Cannot sample with ${what}: it must be `), error.message);
      return true;
    });
  }
});

Deno.test("accept() and sequence() refuse tokens outside the vocabulary", async () => {
  const sampler = await Sampler.create(8);
  const params = { ...NEUTRAL, repetitionPenalty: 1.1 };
  const expected = { name: "RangeError", message: /token 8: the vocabulary ends at 7/ };
  assert.throws(() => sampler.sequence(params, Uint32Array.of(1, 8)), expected);
  assert.throws(() => sampler.sequence(params, EMPTY).accept(8), expected);
});

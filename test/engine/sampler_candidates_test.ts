/** That candidates give the token that the whole row gives, and how seldom the row is read. */
import assert from "node:assert/strict";
import { Sampler } from "../../src/engine/sampler.ts";
import type { SamplingParams } from "../../src/pipeline/requests.ts";
import { CountedRow, generator, NEUTRAL, normal } from "./sampler_reference.ts";

type Random = () => number;
const pick = <T>(random: Random, values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;

/** Rows of many kinds: flat, peaked, with ties, with banned tokens, with a long or a short tail, far from 0. */
function randomRow(random: Random): Float32Array {
  const vocabulary = pick(random, [1, 2, 9, 64, 65, 200, 1500]);
  const scale = pick(random, [0, 0.01, 1, 3, 20, 1e4]);
  const grid = pick(random, [0, 0, 0.5]);
  const banned = pick(random, [0, 0, 0.3]);
  const offset = pick(random, [0, 0, -500, 15]);
  const zipf = pick(random, [0, 1, 2]);
  const row = Float32Array.from({ length: vocabulary }, (_, id) => {
    const logit = offset + scale * normal(random) - zipf * Math.log(id + 1);
    return random() < banned ? -Infinity : grid > 0 ? Math.round(logit / grid) * grid : logit;
  });
  row[Math.floor(random() * vocabulary)] = offset;
  return row;
}

function randomParams(random: Random, vocabulary: number): SamplingParams {
  const token = () => Math.floor(random() * vocabulary);
  const half = Array.from({ length: vocabulary }, (_, id) => [id, -3] as const).filter(() => random() < 0.5);
  return {
    temperature: pick(random, [0, 1e-3, 0.3, 0.6, 1, 1, 1.7, 1e3]),
    topK: pick(random, [0, 0, 1, 2, 20, 70, 500]),
    topP: pick(random, [1, 1, 0.95, 0.5, 0.05, random() || 1]),
    minP: pick(random, [0, 0, 0.05, 0.5, 1, random()]),
    repetitionPenalty: pick(random, [1, 1, 1, 1.1, 2, 0.9]),
    presencePenalty: pick(random, [0, 0, 0, 0.5, 2, -1]),
    frequencyPenalty: pick(random, [0, 0, 0, 0.2, 2, -0.5]),
    logitBias: pick(random, [[], [], [[token(), -100]], [[token(), -1], [token(), 0.5]], [[token(), 100]], half]),
    seed: Math.floor(random() * 2 ** 53),
  };
}

interface Comparison {
  tokens: number;
  reads: number;
  mismatches: string[];
}

/** Answers of `steps` tokens over random rows, with candidates and without, `lie` added to the log-sum-exp. */
async function compare(
  seed: number,
  rows: number,
  steps: number,
  lie: (random: Random) => number,
): Promise<Comparison> {
  const random = generator(seed);
  const result: Comparison = { tokens: 0, reads: 0, mismatches: [] };
  const samplers = new Map<number, Sampler>();
  for (let i = 0; i < rows; i++) {
    const row = randomRow(random);
    const vocabulary = row.length;
    const params = randomParams(random, vocabulary);
    const sampler = samplers.get(vocabulary) ?? await Sampler.create(vocabulary);
    samplers.set(vocabulary, sampler);
    const prompt = Uint32Array.from({ length: 20 }, () => Math.floor(random() ** 3 * vocabulary));
    const [some, whole] = [sampler.sequence(params, prompt), sampler.sequence(params, prompt)];
    const source = new CountedRow(row, pick(random, [1, 2, 8, 64]), lie(random));
    const all = new CountedRow(row, 0);
    for (let step = 0; step < steps; step++) {
      const [a, b] = [await some.sample(source, null), await whole.sample(all, null)];
      if (a.id !== b.id) {
        result.mismatches.push(`row ${i} of ${vocabulary}: ${a.id} for ${b.id}, ${JSON.stringify(params)}`);
      }
      if (a.id !== b.id) break;
    }
    assert.equal(all.reads > 0, true);
    result.tokens += all.reads;
    result.reads += source.reads;
  }
  return result;
}

Deno.test("sample() gives the whole row's token from candidates, for any row, parameters and seed", async () => {
  // The log-sum-exp is as wrong as RowCandidates allows.
  const result = await compare(1, 4000, 8, (random) => (random() * 2 - 1) * 0.9 * 2 ** -15);
  assert.deepEqual(result.mismatches, []);
  const share = result.reads / result.tokens;
  assert.ok(
    share > 0.1 && share < 0.6,
    `the row was read for ${share} of ${result.tokens} tokens: both ways are tested`,
  );
});

Deno.test("sample() from candidates needs a right log-sum-exp: the comparison notices a wrong one", async () => {
  const result = await compare(1, 1000, 8, () => -0.3);
  assert.ok(result.mismatches.length > 0);
});

/** Rows as a language model gives them: probabilities fall as a power of the rank, steeply where text is predictable. */
function textLikeRow(random: Random): CountedRow {
  const exponent = 1.2 + 2 * random();
  const logit = (id: number) => 12 - exponent * Math.log(id + 1) + 0.3 * normal(random);
  return new CountedRow(Float32Array.from({ length: 20_000 }, (_, id) => logit(id)), 64);
}

/** Sampling parameters, and the largest share of tokens for which the row may be read. */
const SHARES: [Partial<SamplingParams>, number][] = [
  [{ temperature: 0 }, 0],
  [{ topK: 50 }, 0],
  [{ topK: 20, topP: 0.95, temperature: 0.8 }, 0],
  [{ minP: 0.1 }, 0],
  [{ temperature: 0.6 }, 0.03],
  [{ temperature: 0.6, topP: 0.95 }, 0.02],
  [{ temperature: 0.6, repetitionPenalty: 1.1, presencePenalty: 0.5 }, 0.04],
  [{}, 0.06], // nearly the tail's own probability, and its tokens can only come from the row
];

Deno.test("sample() seldom reads the row with 64 candidates of text, and never where they hold all that is kept", async () => {
  const random = generator(5);
  const sampler = await Sampler.create(20_000);
  const rows = Array.from({ length: 100 }, () => textLikeRow(random));
  for (const [params, limit] of SHARES) {
    for (const row of rows) row.reads = 0;
    for (let seed = 0; seed < 2000; seed++) {
      const sequence = sampler.sequence({ ...NEUTRAL, ...params, seed }, Uint32Array.of(1, 2, 3));
      await sequence.sample(rows[seed % 100] as CountedRow, null);
    }
    const share = rows.reduce((sum, row) => sum + row.reads, 0) / 2000;
    assert.ok(share <= limit, `${JSON.stringify(params)}: read for ${share} of the tokens`);
  }
});

Deno.test("sample() reads the row where a token outside the candidates may be raised", async () => {
  const row = Float32Array.from({ length: 100 }, (_, id) => -id / 10);
  const sampler = await Sampler.create(100);
  const raising: Partial<SamplingParams>[] = [
    { logitBias: [[90, 20]] },
    { repetitionPenalty: 0.01 },
    { presencePenalty: -2 },
    { frequencyPenalty: -2 },
  ];
  for (const params of raising) {
    const sequence = sampler.sequence({ ...NEUTRAL, temperature: 0, ...params }, Uint32Array.of(90));
    for (let i = 0; i < 8; i++) sequence.accept(90);
    const source = new CountedRow(row, 4);
    await sequence.sample(source, null);
    assert.equal(source.reads, 1);
  }
});

/** What the sampler draws against exact distributions, by chi-square, and that the test notices planted errors. */
import assert from "node:assert/strict";
import { Sampler } from "../../src/engine/sampler.ts";
import type { SamplingParams } from "../../src/pipeline/requests.ts";
import {
  CountedRow,
  distribution,
  generator,
  type History,
  NEUTRAL,
  normal,
  ORDER,
  type StepName,
} from "./sampler_reference.ts";

const DRAWS = 20_000;
const VOCABULARY = 24;
const random = generator(11);
const LOGITS = Float32Array.from({ length: VOCABULARY }, () => Math.round(normal(random) * 20) / 10);
const HISTORY: History = { prompt: [0, 16, 3, 7, 20], answer: [10, 3, 5, 5, 5, 9, 10, 22] };
const NO_HISTORY: History = { prompt: [], answer: [] };

/** How often each token is drawn, over as many seeds, with the history as prompt and answer so far. */
async function tally(params: Partial<SamplingParams>, history: History, perRow: number): Promise<number[]> {
  const sampler = await Sampler.create(VOCABULARY);
  const source = new CountedRow(LOGITS, perRow);
  const counts = new Array<number>(VOCABULARY).fill(0);
  for (let seed = 0; seed < DRAWS; seed++) {
    const sequence = sampler.sequence({ ...NEUTRAL, ...params, seed }, Uint32Array.from(history.prompt));
    for (const id of history.answer) sequence.accept(id);
    const { id } = await sequence.sample(source, null);
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}

/**
 * Pearson's chi-square of counts against probabilities, as a standard normal deviate (Wilson and Hilferty 1931).
 * Infinite if something impossible was drawn. Tokens that should occur fewer than 5 times are taken together.
 */
function deviate(counts: readonly number[], probabilities: readonly number[]): number {
  const draws = counts.reduce((a, b) => a + b);
  const rare = { count: 0, expected: 0 };
  let sum = 0;
  let degrees = -1;
  const add = (count: number, expected: number) => {
    sum += (count - expected) ** 2 / expected;
    degrees++;
  };
  for (const [id, count] of counts.entries()) {
    const expected = (probabilities[id] ?? 0) * draws;
    if (expected === 0 && count > 0) return Infinity;
    if (expected >= 5) add(count, expected);
    else {
      rare.count += count;
      rare.expected += expected;
    }
  }
  if (rare.expected > 0) add(rare.count, rare.expected);
  const spread = 2 / (9 * degrees);
  return (Math.cbrt(sum / degrees) - (1 - spread)) / Math.sqrt(spread);
}

// One in a thousand for right distributions; the seeds are fixed, so this holds on every run or on none.
const LIMIT = 3.1;

const CASES: Record<string, { params: Partial<SamplingParams>; history?: History }> = {
  "the plain distribution": { params: {} },
  "temperature 0.6": { params: { temperature: 0.6 } },
  "temperature 1.8": { params: { temperature: 1.8 } },
  "top-k 5": { params: { topK: 5 } },
  "top-k 11 at temperature 2": { params: { topK: 11, temperature: 2 } },
  "top-p 0.8": { params: { topP: 0.8 } },
  "top-p 0.7 of top-k 8": { params: { topK: 8, topP: 0.7, temperature: 1.5 } },
  "min-p 0.2": { params: { minP: 0.2 } },
  "min-p 0.3 of top-p 0.9 of top-k 12": { params: { minP: 0.3, topP: 0.9, topK: 12, temperature: 1.4 } },
  "repetition penalty 1.5": { params: { repetitionPenalty: 1.5 }, history: HISTORY },
  "repetition penalty 0.7": { params: { repetitionPenalty: 0.7 }, history: HISTORY },
  "presence penalty 1.1": { params: { presencePenalty: 1.1 }, history: HISTORY },
  "frequency penalty 0.5": { params: { frequencyPenalty: 0.5 }, history: HISTORY },
  "frequency penalty -0.4": { params: { frequencyPenalty: -0.4 }, history: HISTORY },
  "logit bias": { params: { logitBias: [[2, 4], [20, -2], [17, 1]] } },
  "everything at once": {
    params: {
      temperature: 1.3,
      topK: 15,
      topP: 0.93,
      minP: 0.04,
      repetitionPenalty: 1.2,
      presencePenalty: 0.3,
      frequencyPenalty: 0.2,
      logitBias: [[21, 1], [17, -1]],
    },
    history: HISTORY,
  },
};

for (const [name, { params, history = NO_HISTORY }] of Object.entries(CASES)) {
  Deno.test(`sample() draws ${name} as the plain float64 reference says`, async () => {
    const expected = distribution(LOGITS, { ...NEUTRAL, ...params }, history);
    const counts = await tally(params, history, 8);
    assert.ok(deviate(counts, expected) < LIMIT, `deviate ${deviate(counts, expected)}`);
  });
}

Deno.test("sample() draws independently at the positions of one answer", async () => {
  const sequence = (await Sampler.create(VOCABULARY)).sequence(NEUTRAL, new Uint32Array());
  const source = new CountedRow(LOGITS, VOCABULARY);
  const singles = new Array<number>(VOCABULARY).fill(0);
  const pairs = new Array<number>(VOCABULARY ** 2).fill(0);
  let before: number | undefined;
  for (let i = 0; i < 2 * DRAWS; i++) {
    const { id } = await sequence.sample(source, null);
    singles[id] = (singles[id] ?? 0) + 1;
    // Pairs that do not overlap are independent of one another.
    if (before === undefined) before = id;
    else {
      const pair = before * VOCABULARY + id;
      pairs[pair] = (pairs[pair] ?? 0) + 1;
      before = undefined;
    }
  }
  const expected = distribution(LOGITS, NEUTRAL, NO_HISTORY);
  assert.ok(deviate(singles, expected) < LIMIT);
  assert.ok(deviate(pairs, expected.flatMap((p) => expected.map((q) => p * q))) < LIMIT);
});

const without = (step: StepName) => ORDER.filter((other) => other !== step);
const swapped = (a: StepName, b: StepName) => ORDER.map((step) => step === a ? b : step === b ? a : step);

const PLANTED: [string, Partial<SamplingParams>, readonly StepName[]][] = [
  ["no repetition penalty", { repetitionPenalty: 1.5 }, without("repetition")],
  ["no presence penalty", { presencePenalty: 1.1 }, without("presence")],
  ["no bias", { logitBias: [[2, 4]] }, without("bias")],
  ["no temperature", { temperature: 0.6 }, without("temperature")],
  ["no top-k", { topK: 5 }, without("topK")],
  ["no top-p", { topP: 0.8 }, without("topP")],
  ["no min-p", { minP: 0.2 }, without("minP")],
  ["presence before repetition", { repetitionPenalty: 2, presencePenalty: 1.5 }, swapped("repetition", "presence")],
  ["presence after temperature", { presencePenalty: 1.1, temperature: 2 }, swapped("presence", "temperature")],
  ["bias after temperature", { logitBias: [[20, 1]], temperature: 2 }, swapped("bias", "temperature")],
  ["temperature after min-p", { minP: 0.2, temperature: 2 }, swapped("temperature", "minP")],
  ["top-p before top-k", { topK: 6, topP: 0.8 }, swapped("topK", "topP")],
  ["min-p before top-p", { topP: 0.9, minP: 0.2, temperature: 2 }, swapped("topP", "minP")],
];

Deno.test("the chi-square test notices planted errors: a step left out or in the wrong place", async () => {
  for (const [name, params, order] of PLANTED) {
    const counts = await tally(params, HISTORY, 8);
    const against = (order: readonly StepName[]) =>
      deviate(counts, distribution(LOGITS, { ...NEUTRAL, ...params }, HISTORY, order));
    assert.ok(against(ORDER) < LIMIT, `${name} is not planted: deviate ${against(ORDER)}`);
    assert.ok(against(order) > 2 * LIMIT, `${name}: deviate ${against(order)}`);
  }
});

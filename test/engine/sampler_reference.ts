/** What sampling should give, written plainly in float64: the reference of the sampler's tests and benchmark. */
import type { SamplingParams } from "../../src/pipeline/requests.ts";
import type { RowSource } from "../../src/engine/sampler.ts";

export const NEUTRAL: SamplingParams = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  seed: 0,
};

/** One step of the pipeline: [V] logits to [V] logits, -Infinity where a token is dropped. */
type Step = (logits: number[], params: SamplingParams, history: History) => number[];

export interface History {
  readonly prompt: readonly number[];
  readonly answer: readonly number[];
}

export function softmax(logits: readonly number[]): number[] {
  const max = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - max));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

/** Token ids by falling logit, ties by rising id. */
export function ranked(logits: ArrayLike<number>): number[] {
  const at = (id: number) => logits[id] ?? NaN;
  return Array.from({ length: logits.length }, (_, id) => id).sort((a, b) => at(b) - at(a) || a - b);
}

function keepFirst(logits: number[], n: number): number[] {
  const kept = new Set(ranked(logits).slice(0, n));
  return logits.map((logit, id) => kept.has(id) ? logit : -Infinity);
}

export const STEPS = {
  repetition: (logits, { repetitionPenalty }, { prompt, answer }) =>
    logits.map((logit, id) => {
      if (!prompt.includes(id) && !answer.includes(id)) return logit;
      return logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    }),
  presence: (logits, { presencePenalty, frequencyPenalty }, { answer }) =>
    logits.map((logit, id) => {
      const count = answer.filter((token) => token === id).length;
      return logit - (count > 0 ? presencePenalty : 0) - frequencyPenalty * count;
    }),
  bias: (logits, { logitBias }) =>
    logits.map((logit, id) => logitBias.reduce((sum, [token, bias]) => token === id ? sum + bias : sum, logit)),
  temperature: (logits, { temperature }) => logits.map((logit) => logit / temperature),
  topK: (logits, { topK }) => topK === 0 ? logits : keepFirst(logits, topK),
  topP: (logits, { topP }) => {
    const probabilities = softmax(logits);
    let mass = 0;
    const n = ranked(logits).findIndex((id) => (mass += probabilities[id] ?? 0) >= topP);
    return n < 0 ? logits : keepFirst(logits, n + 1);
  },
  minP: (logits, { minP }) => {
    const least = Math.max(...logits) + Math.log(minP);
    return logits.map((logit) => logit >= least ? logit : -Infinity);
  },
} satisfies Record<string, Step>;

export type StepName = keyof typeof STEPS;
export const ORDER: readonly StepName[] = ["repetition", "presence", "bias", "temperature", "topK", "topP", "minP"];

/** The distribution of the next token, [V]. */
export function distribution(
  logits: ArrayLike<number>,
  params: SamplingParams,
  history: History,
  order: readonly StepName[] = ORDER,
): number[] {
  return softmax(order.reduce((row, step) => STEPS[step](row, params, history), Array.from(logits)));
}

export function logSumExp(logits: Float32Array): number {
  const max = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  return max + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
}

/** A row with its K likeliest tokens as candidates; counts how often the whole row is read. */
export class CountedRow implements RowSource {
  readonly candidates: RowSource["candidates"];
  readonly #logits: Float32Array;
  reads = 0;

  /** `error` is added to the log-sum-exp. */
  constructor(logits: Float32Array, perRow: number, error = 0) {
    const ids = Uint32Array.from(ranked(logits).slice(0, perRow));
    this.#logits = logits;
    this.candidates = {
      ids,
      logits: Float32Array.from(ids, (id) => logits[id] ?? NaN),
      logSumExp: Math.fround(logSumExp(logits) + error),
    };
  }

  row(): Promise<Float32Array> {
    this.reads++;
    return Promise.resolve(this.#logits);
  }
}

/** Uniform numbers in [0, 1) for making rows (mulberry32), so that a test is the same on every run. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ state >>> 15, state | 1);
    x ^= x + Math.imul(x ^ x >>> 7, x | 61);
    return ((x ^ x >>> 14) >>> 0) / 2 ** 32;
  };
}

/** A normal number from a uniform generator (Box and Muller 1958). */
export const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

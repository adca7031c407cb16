/** Sampling at the real vocabulary: a whole row in WASM against plain TypeScript, and 64 candidates. */
import { Sampler } from "../src/engine/sampler.ts";
import type { SamplingParams } from "../src/pipeline/requests.ts";
import { CountedRow, generator, NEUTRAL, normal } from "../test/engine/sampler_reference.ts";

const VOCABULARY = 157_184;

const random = generator(1);
const LOGITS = Float32Array.from({ length: VOCABULARY }, (_, id) => 14 - 1.6 * Math.log(id + 1) + 0.5 * normal(random));
const CANDIDATES = new CountedRow(LOGITS, 64);
const WHOLE = new CountedRow(LOGITS, 0);

const CASES: Record<string, Partial<SamplingParams>> = {
  "temperature 0.6": { temperature: 0.6 },
  "temperature, top-k, top-p, min-p": { temperature: 0.6, topK: 40, topP: 0.95, minP: 0.02 },
  "top-p 0.95 of all": { topP: 0.95 },
};

const at = (values: ArrayLike<number>, i: number) => values[i] ?? NaN;
const IDS = Uint32Array.from(LOGITS.keys());
const weights = new Float64Array(VOCABULARY);

/** The same distribution in plain TypeScript: weights by Math.exp, and a sort where something is cut off. */
function plain(logits: Float32Array, { temperature, topK, topP, minP }: SamplingParams, u: number): number {
  let max = -Infinity;
  for (let i = 0; i < VOCABULARY; i++) max = Math.max(max, at(logits, i));
  for (let i = 0; i < VOCABULARY; i++) weights[i] = Math.exp((at(logits, i) - max) / temperature);
  const cut = topK > 0 || topP < 1 || minP > 0;
  let order = cut ? IDS.slice().sort((a, b) => at(weights, b) - at(weights, a)) : IDS;
  if (topK > 0) order = order.subarray(0, topK);
  if (topP < 1) order = order.subarray(0, reach(order, topP * total(order)) + 1);
  if (minP > 0) order = order.filter((id) => at(weights, id) >= minP);
  return at(order, reach(order, u * total(order)));
}

function total(order: Uint32Array): number {
  let mass = 0;
  for (let rank = 0; rank < order.length; rank++) mass += at(weights, at(order, rank));
  return mass;
}

function reach(order: Uint32Array, target: number): number {
  let mass = 0;
  for (let rank = 0; rank < order.length; rank++) if ((mass += at(weights, at(order, rank))) >= target) return rank;
  return order.length - 1;
}

for (const [name, params] of Object.entries(CASES)) {
  const all = { ...NEUTRAL, ...params };
  const sequence = (await Sampler.create(VOCABULARY)).sequence(all, new Uint32Array());
  Deno.bench(`whole row in WASM: ${name}`, { group: name, baseline: true }, async () => {
    await sequence.sample(WHOLE, null);
  });
  Deno.bench(`whole row in plain TypeScript: ${name}`, { group: name }, () => {
    plain(LOGITS, all, Math.random());
  });
  Deno.bench(`64 candidates, row if needed: ${name}`, { group: name }, async () => {
    await sequence.sample(CANDIDATES, null);
  });
}

/** What is mostly asked for; each result is one row's time. */
const USUAL: Record<string, Partial<SamplingParams>> = {
  "greedy": { temperature: 0 },
  "top-k 40": { topK: 40 },
  "temperature 0.6, top-k 40, top-p 0.95": { temperature: 0.6, topK: 40, topP: 0.95 },
  "temperature 0.6, top-p 0.95": { temperature: 0.6, topP: 0.95 },
  "temperature 0.6": { temperature: 0.6 },
  "top-k 40, repetition penalty 1.1": { topK: 40, repetitionPenalty: 1.1 },
};

for (const [name, params] of Object.entries(USUAL)) {
  const sampler = await Sampler.create(VOCABULARY);
  const sequence = sampler.sequence({ ...NEUTRAL, ...params }, Uint32Array.of(1, 2, 3));
  Deno.bench(`64 candidates: ${name}`, { group: "64 candidates" }, async () => {
    await sequence.sample(CANDIDATES, null);
  });
}

const prompt = Uint32Array.from({ length: 30_000 }, () => Math.floor(random() * VOCABULARY));
const penalised = (await Sampler.create(VOCABULARY)).sequence({ ...NEUTRAL, repetitionPenalty: 1.1 }, prompt);
Deno.bench("whole row in WASM: repetition penalty over a prompt of 30,000 tokens", async () => {
  await penalised.sample(WHOLE, null);
});

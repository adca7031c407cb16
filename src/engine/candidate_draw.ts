/** Draws from a row of which only the candidates are known one by one, whenever the rest cannot change the draw. */
import type { DrawRule, WeighedLogits } from "./row_memory.ts";

// The draw inverts the distribution over the row's order: by falling adjusted logit, equal ones by rising id. Let m be the
// last candidate's logit before any adjustment. No other token's logit exceeds m, nor then its adjusted logit unless a term
// raises it, in which case nothing is drawn here; and one that equals m has a higher id than the last candidate. So the
// candidates with an adjusted logit above m, or of m with an id up to the last candidate's, are the head of the order,
// without a gap. Everything else is its tail: the n = V - K others, and candidates that terms brought below the head.
//
// Of the others' mass two bounds are known. Let y = exp(logit - m) ≤ 1 for each of them; their sum Y follows from the row's
// log-sum-exp. At temperature 1/q they weigh exp((m - max) q) Σ y^q, where by y ≤ 1 and by the power means
// n (Y/n)^q ≤ Σ y^q ≤ Y for q ≥ 1, and Y ≤ Σ y^q ≤ n (Y/n)^q for q ≤ 1. If terms may lower some, the lower bound is 0.
//
// Each step of the draw, the masses that top-k, top-p and min-p keep and the rank that u reaches, never falls when the mass
// before it grows. So each is done for both ends of an interval that holds the true mass, widened by what rounding can
// do. Where both ends come to the same token of the head, the whole row comes to it too. Else the row must be read.

/** The K likeliest tokens of a row, by falling logit (ties to the lower id). */
export interface RowCandidates {
  /** [K] */
  readonly ids: Uint32Array;
  /** [K], equal to the row's to the bit. */
  readonly logits: Float32Array;
  /** ln Σ exp(logit) over the whole row, within 2^-15 + 2^-22 |logSumExp|. */
  readonly logSumExp: number;
}

/** What holds for the tokens that are not candidates; none of them was raised. */
export interface Others {
  /** V - K */
  readonly tokens: number;
  /** Some may have been lowered. */
  readonly lowered: boolean;
  readonly temperature: number;
}

interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Tokens in the order of the draw, arrays of [K]. */
interface Order {
  readonly ids: ArrayLike<number>;
  readonly logits: ArrayLike<number>;
  readonly weights: ArrayLike<number>;
}

/** The known beginning of the order. */
interface Head {
  /** [≥ H] */
  readonly logits: ArrayLike<number>;
  /** [H] mass of each token and those before it. */
  readonly masses: Float64Array;
}

// Sums of f64 in another order differ by less than 1e-10 of themselves even for the largest vocabularies.
const SUM_MARGIN = 1e-9;
// The weights are f32: an argument of exp down to -87, rounded twice, is wrong by up to 1e-5, and so is the weight.
const WEIGHT_MARGIN = 2 ** -15;

/**
 * The token that the whole row gives for `rule`, or null if the candidates do not determine it. `adjusted` are the
 * candidates after their terms, [K] in the same order.
 */
export function drawFromCandidates(
  raw: RowCandidates,
  adjusted: WeighedLogits,
  others: Others,
  rule: DrawRule,
): number | null {
  const order = inOrder(raw.ids, adjusted);
  const count = headCount(order, raw, others);
  if (count === 0) return null;
  if (rule.topK === 1) return order.ids[0]!;
  const head = { logits: order.logits, masses: runningSum(order.weights, count) };
  const kept = keptMass(head, new Tail(raw, adjusted.max, others, order, count), rule);
  const last = rule.topK - 1; // no draw passes it, whatever the rounding
  const first = Math.min(reach(head.masses, rule.u * kept.low * (1 - SUM_MARGIN)), last);
  const second = Math.min(reach(head.masses, rule.u * kept.high * (1 + SUM_MARGIN)), last);
  return first === second && first < count ? order.ids[first]! : null;
}

/** Candidates come in order; terms may have changed it. */
function inOrder(ids: Uint32Array, { logits, weights }: WeighedLogits): Order {
  const compare = (a: number, b: number) => logits[b]! - logits[a]! || ids[a]! - ids[b]!;
  let sorted = 1;
  while (sorted < ids.length && !(compare(sorted - 1, sorted) > 0)) sorted++;
  if (sorted >= ids.length) return { ids, logits, weights };
  const ranks = Uint32Array.from(ids.keys()).sort(compare);
  const pick = (values: ArrayLike<number>) => Array.from(ranks, (i) => values[i]!);
  return { ids: pick(ids), logits: pick(logits), weights: pick(weights) };
}

/** H, tokens of the order that certainly come before every token that is not a candidate. */
function headCount({ ids, logits }: Order, raw: RowCandidates, others: Others): number {
  let count = raw.ids.length;
  if (others.tokens === 0) return count;
  const [m, lastId] = [raw.logits[count - 1]!, raw.ids[count - 1]!];
  while (count > 0 && !(logits[count - 1]! > m || (logits[count - 1] === m && ids[count - 1]! <= lastId))) count--;
  return count;
}

function runningSum(weights: ArrayLike<number>, count: number): Float64Array {
  const masses = new Float64Array(count);
  let mass = 0;
  for (let i = 0; i < count; i++) masses[i] = mass += weights[i]!;
  return masses;
}

/** Everything after the head. What takes exponentials is computed when asked for: few draws come near it. */
class Tail {
  /** No adjusted logit is above it. */
  readonly logit: number;

  constructor(
    readonly raw: RowCandidates,
    readonly max: number,
    readonly others: Others,
    readonly order: Order,
    readonly start: number,
  ) {
    this.logit = others.tokens === 0 ? -Infinity : raw.logits.at(-1)!;
  }

  get tokens(): number {
    return this.raw.ids.length - this.start + this.others.tokens;
  }

  /** No token's is above it. */
  get weight(): number {
    return Math.exp((this.logit - this.max) / this.others.temperature) * (1 + WEIGHT_MARGIN);
  }

  get mass(): Interval {
    const { raw, others, order, start, weight } = this;
    let known = 0;
    for (let i = start; i < raw.ids.length; i++) known += order.weights[i]!;
    const { low, high } = powerSum(raw, others);
    const least = others.lowered ? 0 : low * weight * (1 - 2 * WEIGHT_MARGIN);
    return { low: known + least, high: known + high * weight };
  }
}

/** Bounds of Σ y^(1/temperature) over the tokens that are not candidates. */
function powerSum({ logits, logSumExp }: RowCandidates, { tokens, temperature }: Others): Interval {
  const m = logits.at(-1) ?? NaN;
  const all = Math.exp(logSumExp - m);
  if (tokens === 0 || !Number.isFinite(all)) return { low: 0, high: tokens };
  const error = all * (2 ** -15 + 2 ** -22 * Math.abs(logSumExp));
  const rest = logits.reduce((sum, logit) => sum - Math.exp(logit - m), all);
  const clamp = (y: number) => Math.min(Math.max(y, 0), tokens);
  const [low, high] = [clamp(rest - error), clamp(rest + error)];
  const powerMean = (y: number) => tokens * (y / tokens) ** (1 / temperature);
  return temperature <= 1 ? { low: powerMean(low), high } : { low, high: powerMean(high) };
}

/** How many tokens of the head come before the one at which the running mass reaches `target`; H if none does. */
function reach(masses: Float64Array, target: number): number {
  let index = 0;
  while (index < masses.length && !(masses[index]! >= target)) index++;
  return index;
}

/** Bounds of the mass that top-k, then top-p, then min-p keep. */
function keptMass({ logits, masses }: Head, tail: Tail, { topK, topP, floor }: DrawRule): Interval {
  const count = masses.length;
  const all = masses[count - 1]!;
  let { low, high } = topK <= count ? exactly(masses[topK - 1]!) : withTail(all, tail, topK - count);
  if (topP < 1) {
    const [least, most] = [topP * low * (1 - SUM_MARGIN), topP * high * (1 + SUM_MARGIN)];
    low = masses[reach(masses, least)] ?? least;
    high = masses[reach(masses, most)] ?? Math.min(high, most + tail.weight);
  }
  if (floor > -Infinity) {
    let likely = 0;
    while (likely < count && logits[likely]! >= floor) likely++;
    const mass = masses[likely - 1] ?? 0;
    low = Math.min(low, mass);
    if (likely < count || tail.logit < floor) high = Math.min(high, mass);
  }
  return { low, high };
}

const exactly = (mass: number): Interval => ({ low: mass, high: mass });

/** Bounds of the mass `all` of the head and `count` tokens more. */
function withTail(all: number, tail: Tail, count: number): Interval {
  const { low, high } = tail.mass;
  return { low: all + low * count / tail.tokens, high: all + Math.min(high, count * tail.weight) };
}

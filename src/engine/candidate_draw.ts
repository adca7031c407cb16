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

/** The known beginning of the order; arrays are in the order. */
interface Head {
  readonly ids: readonly number[];
  readonly logits: readonly number[];
  /** Mass of each token and those before it. */
  readonly masses: readonly number[];
}

/** Everything after the head: no adjusted logit is above `logit`, no weight above `weight`. */
interface Tail {
  readonly tokens: number;
  readonly logit: number;
  readonly weight: number;
  readonly mass: Interval;
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
  const { head, tail } = splitOrder(raw, adjusted, others);
  if (head.ids.length === 0) return null;
  const kept = keptMass(head, tail, rule);
  const last = rule.topK - 1; // no draw passes it, whatever the rounding
  const first = Math.min(reach(head, rule.u * kept.low * (1 - SUM_MARGIN)), last);
  const second = Math.min(reach(head, rule.u * kept.high * (1 + SUM_MARGIN)), last);
  return first === second ? head.ids[first] ?? null : null;
}

function splitOrder(raw: RowCandidates, adjusted: WeighedLogits, others: Others): { head: Head; tail: Tail } {
  const known = Array.from(raw.ids, (id, i) => ({
    id,
    logit: adjusted.logits[i] ?? NaN,
    weight: adjusted.weights[i] ?? NaN,
  }));
  known.sort((a, b) => b.logit - a.logit || a.id - b.id);
  const m = others.tokens === 0 ? -Infinity : raw.logits.at(-1) ?? NaN;
  const lastId = raw.ids.at(-1) ?? NaN;
  const isHead = ({ id, logit }: { id: number; logit: number }) => logit > m || (logit === m && id <= lastId);
  const certain = others.tokens === 0 ? known : known.filter(isHead);
  let mass = 0;
  const masses = certain.map(({ weight }) => mass += weight);
  const left = known.slice(certain.length).reduce((sum, { weight }) => sum + weight, 0);
  const head = { ids: certain.map(({ id }) => id), logits: certain.map(({ logit }) => logit), masses };
  const weight = Math.exp((m - adjusted.max) / others.temperature) * (1 + WEIGHT_MARGIN);
  const { low, high } = powerSum(raw, others);
  const least = others.lowered ? 0 : low * weight * (1 - 2 * WEIGHT_MARGIN);
  const tokens = known.length - certain.length + others.tokens;
  return { head, tail: { tokens, logit: m, weight, mass: { low: left + least, high: left + high * weight } } };
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

/** How many tokens of the head come before the one at which the running mass reaches `target`. */
function reach(head: Head, target: number): number {
  const index = head.masses.findIndex((mass) => mass >= target);
  return index < 0 ? head.ids.length : index;
}

/** Bounds of the mass that top-k, then top-p, then min-p keep. */
function keptMass(head: Head, tail: Tail, { topK, topP, floor }: DrawRule): Interval {
  const count = head.ids.length;
  const all = head.masses.at(-1) ?? 0;
  const ofTail = Math.max(topK - count, 0);
  let low = ofTail === 0 ? head.masses[topK - 1] ?? all : all + tail.mass.low * ofTail / tail.tokens;
  let high = ofTail === 0 ? low : all + Math.min(tail.mass.high, ofTail * tail.weight);
  if (topP < 1) {
    const [least, most] = [topP * low * (1 - SUM_MARGIN), topP * high * (1 + SUM_MARGIN)];
    low = head.masses[reach(head, least)] ?? least;
    high = head.masses[reach(head, most)] ?? Math.min(high, most + tail.weight);
  }
  if (floor > -Infinity) {
    const likely = head.logits.filter((logit) => logit >= floor).length;
    const mass = head.masses[likely - 1] ?? 0;
    low = Math.min(low, mass);
    if (likely < count || tail.logit < floor) high = Math.min(high, mass);
  }
  return { low, high };
}

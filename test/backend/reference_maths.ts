/** What the reference computes for one row: norms, rotation, scores, the choice of experts and of a token. */
import type { Heads, Norm, Router } from "../../src/backend/backend.ts";
import type { Tensor } from "../../src/backend/tensor.ts";
import type { Draw } from "../../src/pipeline/steps.ts";
import { data, last, rowOf } from "./reference_tensor.ts";

/** The nearest float16, the largest finite ones at most. */
export const half = (x: number): number => Math.f16round(Math.min(65504, Math.max(-65504, x)));
export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
export const silu = (x: number): number => x * sigmoid(x);

export function normalized(x: Float64Array, eps: number): Float64Array {
  const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return x.map((value) => value / Math.sqrt(meanSquare + eps));
}

export function rmsNorm(x: Float64Array, norm: Norm): Float64Array {
  return normalized(x, norm.eps).map((value, i) => value * data(norm.weight)[i]!);
}

/** q, k and v of one row after norm and rotation, in place. */
export function prepare(
  qkv: Tensor,
  row: number,
  position: number,
  how: Heads,
): { q: Float64Array[]; k: Float64Array[]; v: Float64Array[] } {
  const { heads, kvHeads, headDim } = how;
  const all = rowOf(qkv, row);
  if (how.silu) all.forEach((value, i) => all[i] = silu(value));
  const head = (index: number) => all.slice(index * headDim, (index + 1) * headDim);
  const turned = (x: Float64Array, norm: Norm | null) =>
    rotate(norm === null ? x : rmsNorm(x, norm), position, how.rope);
  return {
    q: Array.from({ length: heads }, (_, h) => turned(head(h), how.queryNorm)),
    k: Array.from({ length: kvHeads }, (_, h) => turned(head(heads + h), how.keyNorm)),
    v: Array.from({ length: kvHeads }, (_, h) => head(heads + kvHeads + h)),
  };
}

export function rotate(x: Float64Array, position: number, rope: Tensor | null): Float64Array {
  if (rope === null) return x;
  const half = last(rope);
  const table = data(rope).subarray(position * 2 * half, (position + 1) * 2 * half);
  const y = x.slice();
  for (let j = 0; j < half; j++) {
    const [cos, sin] = [table[j]!, table[half + j]!];
    y[j] = x[j]! * cos - x[j + half]! * sin;
    y[j + half] = x[j + half]! * cos + x[j]! * sin;
  }
  return y;
}

export const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** Indices by falling value, ties to the lower index. */
export function ranked(values: Float64Array): number[] {
  return Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b);
}

export function scores(logits: Float64Array, kind: Router["score"]): Float64Array {
  if (kind === "sigmoid") return logits.map(sigmoid);
  const largest = logits.reduce((most, x) => Math.max(most, x), -Infinity);
  const exps = logits.map((x) => Math.exp(x - largest));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((x) => x / sum);
}

/** Spec c.9. */
export function choose(logits: Float64Array, how: Router): { ids: number[]; weights: number[] } {
  const score = scores(logits, how.score);
  const select = score.map((value, e) => value + (how.bias === null ? 0 : data(how.bias)[e]!));
  const size = select.length / how.groups;
  const marks = Float64Array.from({ length: how.groups }, (_, g) => {
    const best = select.slice(g * size, (g + 1) * size).sort().reverse();
    return best[0]! + (best[1] ?? 0);
  });
  const kept = new Set(ranked(marks).slice(0, how.groups > 1 ? how.groupsKept : 1));
  const masked = select.map((value, e) => kept.has(Math.floor(e / size)) ? value : -Infinity);
  const ids = ranked(masked).slice(0, how.perToken);
  const sum = ids.reduce((total, e) => total + score[e]!, 0);
  const divisor = how.normalize && how.perToken > 1 ? sum + 1e-20 : 1;
  return { ids, weights: ids.map((e) => score[e]! / divisor * how.scale) };
}

/** Goes through the candidates once for each of what a draw keeps. */
export function drawnPlace(
  logits: Float64Array,
  logSumExp: number,
  { temperature, topK, topP, minP, u }: Draw,
): number {
  const weights = Array.from(logits, (logit) => Math.exp((logit - logits[0]!) / temperature)).slice(0, topK);
  const total = (list: readonly number[]) => list.reduce((sum, weight) => sum + weight, 0);
  /** Candidates until the mass is reached, and whether it is. */
  const until = (mass: number): [place: number, reached: boolean] => {
    for (let [i, sum] = [0, 0]; i < weights.length; i++) if ((sum += weights[i]!) >= mass) return [i, true];
    return [weights.length - 1, false];
  };
  let kept = total(weights);
  if (topK > logits.length) {
    const others = Math.exp(logSumExp) - logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    kept += weights.at(-1)! * Math.min(others / Math.exp(logits.at(-1)!), topK - logits.length);
  }
  if (topP < 1) {
    const [place, reached] = until(topP * kept);
    kept = reached ? total(weights.slice(0, place + 1)) : topP * kept;
  }
  const likely = weights.filter((weight) => weight >= minP);
  if (likely.length < weights.length) kept = Math.min(kept, total(likely));
  return until(u * kept)[0];
}

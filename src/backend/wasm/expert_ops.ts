/** Routing and experts as calls of kernels: rows sorted by expert, so that an expert's weights are read once a step. */
import type { Ptr } from "../../../wasm/memory.ts";
import type { Norm, Router, Routing } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { f32, NONE, sides, u32 } from "./binding.ts";
import type { Recording } from "./recording.ts";

/** Bound of arrays on the kernels' stack: kernels.h. */
const MAX_EXPERTS = 1024;

export function recordRoute(
  recording: Recording,
  routing: Routing,
  [hidden, norm, map]: readonly [hidden: Tensor, norm: Norm, map: Weight],
  { score, groups, groupsKept, perToken, normalize, scale, bias }: Router,
): void {
  const { calls, kernels, step } = recording;
  const [E] = sides(map);
  if (E > MAX_EXPERTS) {
    throw new RangeError(`Cannot route to ${E} experts: the WASM backend has at most ${MAX_EXPERTS}`);
  }
  const scores = recording.scratch.get("scores", "f32", recording.capacity.rows * E);
  calls.push(recording.product(scores, recording.normed(hidden, norm), map));
  calls.push(
    score === "sigmoid"
      ? () => kernels.sigmoid(scores, 0, step.rowCount * E)
      : () => kernels.softmax(scores, E, 0, step.rowCount),
  );
  const [ids, weights, added] = [u32(routing.ids), f32(routing.weights), bias === null ? NONE : f32(bias)];
  const divide = Number(normalize);
  calls.push(() =>
    kernels.choose(ids, weights, scores, added, E, groups, groupsKept, perToken, divide, scale, 0, step.rowCount)
  );
}

/** The pairs of a routing by expert, and where each expert's begin. */
interface Sorted {
  readonly order: Ptr<"u32">;
  readonly starts: Ptr<"u32">;
}

function recordSort({ calls, kernels, step, capacity, scratch }: Recording, routing: Routing, E: number): Sorted {
  const [ids, K] = [u32(routing.ids), routing.ids.shape[1]!];
  const order = scratch.get("order", "u32", capacity.rows * K);
  const starts = scratch.get("starts", "u32", E + 1);
  calls.push(() => kernels.sort_by_expert(order, starts, ids, step.rowCount * K, E));
  return { order, starts };
}

/** y[t, k] = x[t] @ W[e]^T, or x[t, k] @ W[e]^T where x has a row for each pair, e = ids[t, k] */
function recordExperts(
  recording: Recording,
  [y, x]: readonly [y: Ptr<"f32">, x: Ptr<"f32">],
  { order, starts }: Sorted,
  weight: Weight,
  rowsPerInput: number,
): void {
  const { calls, kernels, bindings } = recording;
  const [E, N] = weight.values.shape as [number, number, number];
  const [matrix, packed] = [bindings.matrix(weight), recording.packed(weight)];
  calls.push(() => kernels.experts_matmul(y, x, matrix, packed, order, starts, E, rowsPerInput, 0, N));
}

export function recordExpertsGateUp(
  recording: Recording,
  out: Tensor,
  [hidden, norm]: readonly [hidden: Tensor, norm: Norm],
  routing: Routing,
  [gate, up]: readonly [gate: Weight, up: Weight],
): void {
  const { calls, kernels, step, capacity } = recording;
  const [, K, I] = out.shape as [number, number, number];
  const x = recording.normed(hidden, norm);
  const [y, ups] = [f32(out), recording.scratch.get("ups", "f32", capacity.rows * K * I)];
  const pairs = recordSort(recording, routing, gate.values.shape[0]!);
  recordExperts(recording, [y, x], pairs, gate, K);
  recordExperts(recording, [ups, x], pairs, up, K);
  calls.push(() => kernels.swiglu(y, ups, 0, step.rowCount * K * I));
}

export function recordExpertsDownAdd(
  recording: Recording,
  [hidden, x]: readonly [hidden: Tensor, x: Tensor],
  routing: Routing,
  down: Weight,
): void {
  const { kernels, step, capacity, scratch } = recording;
  const K = x.shape[1]!;
  const [H] = sides(down);
  const downs = scratch.get("downs", "f32", capacity.rows * K * H);
  recordExperts(recording, [downs, f32(x)], recordSort(recording, routing, down.values.shape[0]!), down, 1);
  const [y, weights] = [f32(hidden), f32(routing.weights)];
  recording.changing(() => kernels.combine(y, downs, weights, K, H, 0, step.rowCount));
}

/** Routing and experts as calls of kernels: rows sorted by expert, so that an expert's weights are read once a step. */
import type { Ptr } from "../../../wasm/memory.ts";
import type { Norm, Router, Routing } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { f32, NONE, sides, u32 } from "./binding.ts";
import { Input } from "./input.ts";
import { columns, elements, type Recording, rows } from "./recording.ts";

/** Bound of arrays on the kernels' stack: kernels.h. */
const MAX_EXPERTS = 1024;

export function recordRoute(
  recording: Recording,
  routing: Routing,
  [hidden, norm, map]: readonly [hidden: Tensor, norm: Norm, map: Weight],
  { score, groups, groupsKept, perToken, normalize, scale, bias }: Router,
): void {
  const [E] = sides(map);
  if (E > MAX_EXPERTS) {
    throw new RangeError(`Cannot route to ${E} experts: the WASM backend has at most ${MAX_EXPERTS}`);
  }
  const scores = recording.scratch.get("scores", "f32", recording.capacity.rows * E);
  recording.product(scores, recording.normed(hidden, norm), map);
  if (score === "sigmoid") recording.call("sigmoid", [scores, "begin", "end"], elements(E));
  else recording.call("softmax", [scores, E, "begin", "end"], rows(24 * E));
  const [ids, weights, added] = [u32(routing.ids), f32(routing.weights), bias === null ? NONE : f32(bias)];
  const how = [E, groups, groupsKept, perToken, Number(normalize), scale] as const;
  recording.call("choose", [ids, weights, scores, added, ...how, "begin", "end"], rows(32 * E * (4 + perToken)));
}

/** The pairs of a routing by expert, and where each expert's begin. */
interface Sorted {
  readonly order: Ptr<"u32">;
  readonly starts: Ptr<"u32">;
}

function recordSort(recording: Recording, routing: Routing, E: number): Sorted {
  const { capacity, scratch } = recording;
  const [ids, K] = [u32(routing.ids), routing.ids.shape[1]!];
  const order = scratch.get("order", "u32", capacity.rows * K);
  const starts = scratch.get("starts", "u32", E + 1);
  recording.call("sort_by_expert", [order, starts, ids, "end", E], { ...elements(K), work: 0 });
  return { order, starts };
}

/** How many pairs each row has, and whether the call may be made at the same time as the one before it. */
interface Pairs {
  readonly perToken: number;
  readonly beside?: boolean;
}

/** y[t, k] = x[t] @ W[e]^T, or x[t, k] @ W[e]^T where x has a row for each pair, e = ids[t, k] */
function recordExperts(
  recording: Recording,
  [y, x]: readonly [y: Ptr<"f32">, x: Input],
  { order, starts }: Sorted,
  weight: Weight,
  { perToken, beside = false }: Pairs,
): void {
  const [matrix, packed, E] = [recording.bindings.matrix(weight), recording.packed(weight), weight.values.shape[0]!];
  const rest = [matrix, packed, order, starts, E, perToken / x.perCount, "begin", "end"] as const;
  const range = columns(sides(weight), "rowCount", perToken);
  const { narrowed, isNew } = recording.operand(x, weight);
  const when = beside && !isNew ? "beside" : "call";
  if (narrowed === null) recording[when]("experts_matmul", [y, x.values, ...rest], range);
  else recording[when]("experts_matmul_codes", [y, narrowed, ...rest], range);
}

export function recordExpertsGateUp(
  recording: Recording,
  out: Tensor,
  [hidden, norm]: readonly [hidden: Tensor, norm: Norm],
  routing: Routing,
  [gate, up]: readonly [gate: Weight, up: Weight],
): void {
  const { capacity, scratch } = recording;
  const [, K, I] = out.shape as [number, number, number];
  const x = recording.normed(hidden, norm);
  const [y, ups] = [f32(out), scratch.get("ups", "f32", capacity.rows * K * I)];
  const sorted = recordSort(recording, routing, gate.values.shape[0]!);
  recordExperts(recording, [y, x], sorted, gate, { perToken: K });
  recordExperts(recording, [ups, x], sorted, up, { perToken: K, beside: true });
  recording.call("swiglu", [y, ups, "begin", "end"], elements(K * I));
}

export function recordExpertsDownAdd(
  recording: Recording,
  [hidden, x]: readonly [hidden: Tensor, x: Tensor],
  routing: Routing,
  down: Weight,
): void {
  const { capacity, scratch } = recording;
  const K = x.shape[1]!;
  const [H] = sides(down);
  const downs = scratch.get("downs", "f32", capacity.rows * K * H);
  const sorted = recordSort(recording, routing, down.values.shape[0]!);
  const input = new Input("input", f32(x), "rowCount", capacity.rows, K);
  recordExperts(recording, [downs, input], sorted, down, { perToken: K });
  recording.changing();
  recording.call("combine", [f32(hidden), downs, f32(routing.weights), K, H, "begin", "end"], rows(4 * K * H));
}

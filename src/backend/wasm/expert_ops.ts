/** Routing and experts as calls of kernels: rows sorted by expert, so that an expert's weights are read once a step. */
import type { Ptr } from "../../../wasm/memory.ts";
import type { Norm, Router, Routing, SharedDown, SharedGateUp } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { f32, NONE, sides, u32 } from "./binding.ts";
import { Input } from "./input.ts";
import { columns, elements, type Recording, rows, type Sorted } from "./recording.ts";

/** Whether a call comes behind all before, or may be made at the same time as the one before it. */
type When = "call" | "beside";

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
  recording.sorted = null;
  recording.call("choose", [ids, weights, scores, added, ...how, "begin", "end"], rows(32 * E * (4 + perToken)));
}

/** The pairs of a routing by expert; once for all products of the same choice. */
function sorted(recording: Recording, routing: Routing, E: number): Sorted {
  if (recording.sorted?.routing === routing) return recording.sorted;
  const { capacity, scratch } = recording;
  const [ids, K] = [u32(routing.ids), routing.ids.shape[1]!];
  const order = scratch.get("order", "u32", capacity.rows * K);
  const starts = scratch.get("starts", "u32", E + 1);
  recording.call("sort_by_expert", [order, starts, ids, "end", E], { ...elements(K), work: 0 });
  return recording.sorted = { routing, order, starts };
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

/** The shared expert's products come beside the others', as threads may take pieces of all. */
export function recordExpertsGateUp(
  recording: Recording,
  out: Tensor,
  [hidden, norm]: readonly [hidden: Tensor, norm: Norm],
  routing: Routing,
  [gate, up]: readonly [gate: Weight, up: Weight],
  shared: SharedGateUp | null,
): void {
  const { capacity, scratch } = recording;
  const [, K, I] = out.shape as [number, number, number];
  const x = recording.normed(hidden, norm);
  const [y, ups] = [f32(out), scratch.get("experts' ups", "f32", capacity.rows * K * I)];
  const pairs = sorted(recording, routing, gate.values.shape[0]!);
  recordExperts(recording, [y, x], pairs, gate, { perToken: K });
  recordExperts(recording, [ups, x], pairs, up, { perToken: K, beside: true });
  if (shared !== null) recordGateUp(recording, shared.out, x, [shared.gate, shared.up], "beside");
  recording.call("swiglu", [y, ups, "begin", "end"], elements(K * I));
  if (shared !== null) recordSwiglu(recording, shared.out, "beside");
}

export function recordExpertsDownAdd(
  recording: Recording,
  [hidden, x]: readonly [hidden: Tensor, x: Tensor],
  routing: Routing,
  down: Weight,
  shared: SharedDown | null,
): void {
  const { capacity, scratch } = recording;
  const K = x.shape[1]!;
  const [H] = sides(down);
  const downs = scratch.get("downs", "f32", capacity.rows * K * H);
  const pairs = sorted(recording, routing, down.values.shape[0]!);
  const input = new Input("input", f32(x), "rowCount", capacity.rows, K);
  recordExperts(recording, [downs, input], pairs, down, { perToken: K });
  recording.changing();
  if (shared !== null) {
    const x = new Input("input", f32(shared.x), "rowCount", capacity.rows);
    recording.product(f32(hidden), x, shared.down, { add: true, beside: true });
  }
  recording.call("combine", [f32(hidden), downs, f32(routing.weights), K, H, "begin", "end"], rows(4 * K * H));
}

/** The products of gate and up, whose outcome {@linkcode recordSwiglu} joins. */
export function recordGateUp(
  recording: Recording,
  out: Tensor,
  x: Input,
  [gate, up]: readonly [gate: Weight, up: Weight],
  when: When,
): void {
  recording.product(f32(out), x, gate, { beside: when === "beside" });
  recording.product(upsOf(recording, out), x, up, { beside: true });
}

export function recordSwiglu(recording: Recording, out: Tensor, when: When): void {
  recording[when]("swiglu", [f32(out), upsOf(recording, out), "begin", "end"], elements(out.shape[1]!));
}

function upsOf({ scratch, capacity }: Recording, out: Tensor): Ptr<"f32"> {
  return scratch.get("ups", "f32", capacity.rows * out.shape[1]!);
}

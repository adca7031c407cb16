/** The router and the experts that it chooses. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Norm, Router, Routing, SharedDown, SharedGateUp } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { batchGateUp, byBatch, productsByTiles } from "./batch_products.ts";
import { decodeDownAdd, takesShared } from "./decode_down.ts";
import { besideOthers, choicesOf, choosesWhileReading, decodesExperts, orderChoices } from "./decode_experts.ts";
import { decodeGateUp } from "./decode_gate_up.ts";
import { decodeProduct, lanesFor } from "./decode_products.ts";
import { gateUp, projectAdd } from "./dense_ops.ts";
import { byTiles, gemm } from "./prefill_dense.ts";
import { sortedDownAdd, sortedGateUp } from "./prefill_experts.ts";
import { type Recording, whole } from "./recording.ts";
import { routesByStrips, softwareRoute } from "./software_experts.ts";

export function route(
  recording: Recording,
  routing: Routing,
  hidden: Tensor,
  norm: Norm,
  map: Weight,
  how: Router,
): void {
  const { ids } = routing;
  recording.sorted.delete(ids);
  const order = () => orderChoices(recording, ids, map.values.shape[0]!);
  if (routesByStrips(recording, map)) {
    softwareRoute(recording, routing, hidden, norm, map, how);
    return order();
  }
  const logits = recording.scratch("router logits", recording.capacity.rows * map.values.shape[0]!);
  routerProduct(recording, logits, hidden, norm, map);
  chooseExperts(recording, routing, logits, map.values.shape[0]!, how);
  order();
}

function routerProduct(recording: Recording, logits: GPUBuffer, hidden: Tensor, norm: Norm, map: Weight): void {
  const { device, capacity } = recording;
  const product = { weight: map, bias: null };
  if (byTiles(capacity.rows)) {
    gemm(recording, logits, recording.normed(hidden, norm), product, { add: false, rows: "rows" });
  } else if (productsByTiles(recording, capacity.rows)) {
    // So many rows keep a device busy with few threads to a sum; fewer have the bits of one.
    decodeProduct(recording, logits, hidden, product, { norm, lanes: Math.max(device.lanes, device.wideLanes / 2) });
  } else decodeProduct(recording, logits, hidden, product, { norm });
}

function chooseExperts(
  recording: Recording,
  { ids, weights }: Routing,
  logits: GPUBuffer,
  experts: number,
  { score, groups, groupsKept, perToken, normalize, scale, bias }: Router,
): void {
  const { device } = recording;
  const constants = {
    ...{ EXPERTS: experts, GROUPS: groups, GROUPS_KEPT: groups === 1 ? 1 : groupsKept, PER_TOKEN: perToken },
    ...{ SOFTMAX: score === "softmax", NORMALIZE: normalize && perToken > 1, BIAS: bias !== null },
  };
  const biases = bias === null ? recording.memory.nothing : whole(bias);
  const choose = () =>
    recording.dispatch(
      SHADERS.route,
      { constants: { LANES: lanesFor(device, 1, experts), ...constants }, workgroups: ({ rows }) => rows },
      { logits, bias: biases, ids: whole(ids, "u32"), weights: whole(weights) },
      { scale },
    );
  if (score === "softmax" || !choosesWhileReading(recording)) choose();
  else recording.leave(ids, { choice: { logits, bias: biases, weights, scale, constants } }, choose);
}

/**
 * Where steps have tiles that hold all their rows, a shared expert has a dispatch of its own in front of the others', and neither waits for
 * the other: a device multiplies for the one while it reads for the others.
 */
export function expertsGateUp(
  recording: Recording,
  out: Tensor,
  hidden: Tensor,
  norm: Norm,
  routing: Routing,
  gate: Weight,
  up: Weight,
  shared: SharedGateUp | null = null,
): void {
  const fewRows = decodesExperts(recording);
  const batch = fewRows && byBatch(recording, recording.capacity.rows);
  const fused = shared !== null && fewRows && !batch &&
    besideOthers(recording, gate, [shared.gate, shared.up]) !== null;
  if (shared !== null && batch) {
    const { chosen } = choicesOf(recording, routing.ids, gate.values.shape[0]!);
    batchGateUp(recording, shared.out, hidden, norm, shared.gate, shared.up, [chosen]);
  } else if (shared !== null && !fused) gateUp(recording, shared.out, hidden, norm, shared.gate, shared.up);
  if (!fewRows) sortedGateUp(recording, out, hidden, norm, routing, gate, up);
  else decodeGateUp(recording, out, hidden, norm, routing, [gate, up], fused ? shared : null);
}

export function expertsDownAdd(
  recording: Recording,
  hidden: Tensor,
  x: Tensor,
  routing: Routing,
  down: Weight,
  shared: SharedDown | null = null,
): void {
  const fewRows = decodesExperts(recording);
  const fused = shared !== null && fewRows && takesShared(recording, down, shared.down);
  if (shared !== null && !fused) projectAdd(recording, hidden, shared.x, { weight: shared.down, bias: null });
  if (!fewRows) sortedDownAdd(recording, hidden, x, routing, down);
  else decodeDownAdd(recording, hidden, x, routing, down, fused ? shared : null);
}

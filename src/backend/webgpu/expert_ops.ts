/** The router and the experts that it chooses. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Norm, Router, Routing } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { gatedProduct, product } from "./dense_ops.ts";
import { byTiles } from "./prefill_dense.ts";
import { sortChoices, sortedDownAdd, sortedGateUp } from "./prefill_experts.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";

export function route(
  recording: Recording,
  { ids, weights }: Routing,
  hidden: Tensor,
  norm: Norm,
  map: Weight,
  { score, groups, groupsKept, perToken, normalize, scale, bias }: Router,
): void {
  const experts = map.values.shape[0]!;
  const x = recording.normed(hidden, norm);
  const logits = recording.scratch("router logits", recording.capacity.rows * experts);
  product(recording, logits, x, { weight: map, bias: null });
  recording.dispatch(
    SHADERS.route,
    {
      constants: {
        LANES: recording.device.wideLanes,
        EXPERTS: experts,
        GROUPS: groups,
        GROUPS_KEPT: groups === 1 ? 1 : groupsKept,
        PER_TOKEN: perToken,
        SOFTMAX: score === "softmax",
        NORMALIZE: normalize && perToken > 1,
        BIAS: bias !== null,
      },
      workgroups: ({ rows }) => rows,
    },
    {
      logits,
      bias: bias === null ? recording.memory.nothing : whole(bias),
      ids: whole(ids, "u32"),
      weights: whole(weights),
    },
    { scale },
  );
  if (byTiles(recording.capacity.rows)) sortChoices(recording, ids, experts);
}

export function expertsGateUp(
  recording: Recording,
  out: Tensor,
  hidden: Tensor,
  norm: Norm,
  routing: Routing,
  gate: Weight,
  up: Weight,
): void {
  const { ids } = routing;
  if (byTiles(recording.capacity.rows)) return sortedGateUp(recording, out, hidden, norm, routing, gate, up);
  const choices = { ids: whole(ids, "u32"), perRow: ids.shape[1]! };
  gatedProduct(recording, out, recording.normed(hidden, norm), gate, up, choices);
}

export function expertsDownAdd(
  recording: Recording,
  hidden: Tensor,
  x: Tensor,
  routing: Routing,
  down: Weight,
): void {
  if (byTiles(recording.capacity.rows)) return sortedDownAdd(recording, hidden, x, routing, down);
  const { ids, weights } = routing;
  const [outputs, width] = down.values.shape.slice(-2) as [number, number];
  const { factors, constants } = scaling(recording, down);
  for (const { buffer, first, count } of own(down.values).parts) {
    recording.dispatch(
      SHADERS.expertsDown,
      {
        constants: { ...constants, PER_ROW: ids.shape[1]! },
        weight: weightType(down),
        workgroups: ({ rows }) => rows * Math.ceil(outputs / 4),
      },
      { x: whole(x), down: buffer, factors, ids: whole(ids, "u32"), weights: whole(weights), hidden: whole(hidden) },
      { columns: width / 4, outputs, first, count },
    );
  }
  recording.changed(hidden);
}

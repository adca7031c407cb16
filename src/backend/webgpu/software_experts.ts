/** Router and experts of few rows on a CPU (software_products.ts). */
import { type Constants, SHADERS } from "../../../shaders/mod.ts";
import type { Norm, Router, Routing, SharedDown, SharedGateUp } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { byTiles } from "./prefill_dense.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";
import { byStrips } from "./software_products.ts";

/** Rows of each matrix that a lane has to itself: a tile (shaders/lib/strip.wgsl). */
const LANE_ROWS = 4;

/** Whether the kernel is for the device and the map. */
export function routesByStrips(recording: Recording, map: Weight): boolean {
  return !byTiles(recording.capacity.rows) && byStrips(recording, [map]) && own(map.values).parts.length === 1;
}

/** What shaders/lib/choice.wgsl goes by. */
export function routerConstants(
  experts: number,
  { score, groups, groupsKept, perToken, normalize, bias }: Router,
): Constants {
  return {
    ...{ EXPERTS: experts, GROUPS: groups, GROUPS_KEPT: groups === 1 ? 1 : groupsKept, PER_TOKEN: perToken },
    ...{ SOFTMAX: score === "softmax", NORMALIZE: normalize && perToken > 1, BIAS: bias !== null },
  };
}

/** As route() does it. */
export function softwareRoute(
  recording: Recording,
  { ids, weights }: Routing,
  hidden: Tensor,
  norm: Norm,
  map: Weight,
  router: Router,
): void {
  const [experts, width] = map.values.shape as [number, number];
  const { factors, constants } = scaling(recording, map);
  recording.dispatch(
    SHADERS.softwareRoute,
    {
      constants: { ...constants, ...routerConstants(experts, router) },
      weight: weightType(map),
      workgroups: ({ rows }) => rows,
    },
    {
      x: whole(hidden),
      norm: whole(norm.weight),
      map: whole(map.values, map.values.dtype),
      factors,
      bias: router.bias === null ? recording.memory.nothing : whole(router.bias),
      ids: whole(ids, "u32"),
      weights: whole(weights),
    },
    { columns: width / 4, scale: router.scale, epsilon: norm.eps },
  );
}

/** As decodeGateUp() does it; `ids` are null where there is one matrix for all rows. */
export function softwareGateUp(
  recording: Recording,
  out: Tensor,
  hidden: Tensor,
  norm: Norm,
  ids: Tensor | null,
  [gate, up]: readonly [gate: Weight, up: Weight],
  shared: SharedGateUp | null,
): void {
  const { device: { lanes }, memory: { nothing } } = recording;
  const [outputs, width] = gate.values.shape.slice(-2) as [number, number];
  const PER_ROW = ids?.shape[1] ?? 1;
  const sharedOutputs = shared?.gate.values.shape[0] ?? 0;
  const upParts = own(up.values).parts;
  const tiles = PER_ROW * Math.ceil(outputs / (LANE_ROWS * lanes));
  own(gate.values).parts.forEach(({ buffer, first, count }, i) => {
    const added = i === 0 ? shared : null; // once, with the first part
    const sharedTiles = added === null ? 0 : Math.ceil(sharedOutputs / (LANE_ROWS * lanes));
    recording.dispatch(
      SHADERS.softwareGateUp,
      {
        constants: {
          ...scaling(recording, gate).constants,
          ...{ LANES: lanes, PER_ROW, ROUTED: ids !== null, SHARED: added !== null },
        },
        weight: weightType(gate),
        workgroups: ({ rows }) => rows * (tiles + sharedTiles),
      },
      {
        x: whole(hidden),
        norm: whole(norm.weight),
        gate: buffer,
        gate_factors: scaling(recording, gate).factors,
        up: upParts[i]!.buffer,
        up_factors: scaling(recording, up).factors,
        ids: ids === null ? nothing : whole(ids, "u32"),
        out: whole(out),
        shared_gate: added === null ? nothing : whole(added.gate.values, added.gate.values.dtype),
        shared_gate_factors: added === null ? nothing : scaling(recording, added.gate).factors,
        shared_up: added === null ? nothing : whole(added.up.values, added.up.values.dtype),
        shared_up_factors: added === null ? nothing : scaling(recording, added.up).factors,
        shared_out: added === null ? recording.scratch("no shared expert", 1) : whole(added.out),
      },
      { columns: width / 4, outputs, first, count, shared_outputs: sharedOutputs, epsilon: norm.eps },
    );
  });
}

/** As decodeDownAdd() does it. */
export function softwareDownAdd(
  recording: Recording,
  hidden: Tensor,
  x: Tensor,
  { ids, weights }: Routing,
  down: Weight,
  shared: SharedDown | null,
): void {
  const { device: { lanes }, memory: { nothing } } = recording;
  const [outputs, width] = down.values.shape.slice(-2) as [number, number];
  const { factors, constants } = scaling(recording, down);
  const sharedWidth = shared?.x.shape.at(-1) ?? 0;
  own(down.values).parts.forEach(({ buffer, first, count }, i) => {
    const added = i === 0 ? shared : null;
    recording.dispatch(
      SHADERS.softwareDown,
      {
        constants: { ...constants, LANES: lanes, PER_ROW: ids.shape[1]!, SHARED: added !== null },
        weight: weightType(down),
        workgroups: ({ rows }) => rows * Math.ceil(outputs / (LANE_ROWS * lanes)),
      },
      {
        x: whole(x),
        down: buffer,
        factors,
        ids: whole(ids, "u32"),
        weights: whole(weights),
        hidden: whole(hidden),
        shared_x: added === null ? nothing : whole(added.x),
        shared_down: added === null ? nothing : whole(added.down.values, added.down.values.dtype),
        shared_factors: added === null ? nothing : scaling(recording, added.down).factors,
      },
      { columns: width / 4, outputs, first, count, shared_columns: sharedWidth / 4 },
    );
  });
  recording.changed(hidden);
}

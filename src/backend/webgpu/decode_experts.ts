/** The experts of few rows: the chosen ones and the shared one side by side, two dispatches in all. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Norm, Routing, SharedDown, SharedGateUp } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { lanesFor } from "./decode_products.ts";
import { byTiles } from "./prefill_dense.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";

/** Buffers that the kernels bind, more than some devices allow. */
const BUFFERS = 14;

/** Whether experts go by rows here, and not sorted as those of many rows. */
export function decodesExperts({ device, capacity }: Recording): boolean {
  return !byTiles(capacity.rows) && device.gpu.limits.maxStorageBuffersPerShaderStage >= BUFFERS;
}

/** Whether the kernels may read a shared expert's weights beside the others: they are stored as those are, in one part. */
export function isLike(weight: Weight, shared: readonly Weight[]): boolean {
  return shared.every(({ values, scales }) =>
    own(values).parts.length === 1 && values.dtype === weight.values.dtype &&
    `${scales?.block}` === `${weight.scales?.block}`
  );
}

/** out[t, k] = silu(n_t @ gate[e]^T) ⊙ (n_t @ up[e]^T), and the same for the shared expert where there is one. */
export function decodeGateUp(
  recording: Recording,
  out: Tensor,
  hidden: Tensor,
  norm: Norm,
  { ids }: Routing,
  [gate, up]: readonly [gate: Weight, up: Weight],
  shared: SharedGateUp | null,
): void {
  const [outputs, width] = gate.values.shape.slice(-2) as [number, number];
  const PER_ROW = ids.shape[1]!;
  const sharedOutputs = shared?.gate.values.shape[0] ?? 0;
  const upParts = own(up.values).parts;
  const tiles = PER_ROW * Math.ceil(outputs / 4);
  const nothing = { gate: recording.memory.nothing, up: recording.memory.nothing };
  own(gate.values).parts.forEach(({ buffer, first, count }, i) => {
    const added = i === 0 ? shared : null; // once, with the first part
    const sharedTiles = added === null ? 0 : Math.ceil(sharedOutputs / 4);
    recording.dispatch(
      SHADERS.decodeGateUp,
      {
        constants: {
          ...scaling(recording, gate).constants,
          ...{ LANES: lanesFor(recording.device, tiles, width / 4), PER_ROW, SHARED: added !== null },
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
        ids: whole(ids, "u32"),
        out: whole(out),
        shared_gate: added === null ? nothing.gate : whole(added.gate.values, added.gate.values.dtype),
        shared_gate_factors: added === null ? nothing.gate : scaling(recording, added.gate).factors,
        shared_up: added === null ? nothing.up : whole(added.up.values, added.up.values.dtype),
        shared_up_factors: added === null ? nothing.up : scaling(recording, added.up).factors,
        shared_out: added === null ? recording.scratch("no shared expert", 1) : whole(added.out),
      },
      { columns: width / 4, outputs, first, count, shared_outputs: sharedOutputs, epsilon: norm.eps },
    );
  });
}

/** hidden[t] += Σ_k weights[t, k] · (x[t, k] @ down[e]^T), and shared.x[t] @ shared.down^T where there is one. */
export function decodeDownAdd(
  recording: Recording,
  hidden: Tensor,
  x: Tensor,
  { ids, weights }: Routing,
  down: Weight,
  shared: SharedDown | null,
): void {
  const [outputs, width] = down.values.shape.slice(-2) as [number, number];
  const { factors, constants } = scaling(recording, down);
  const { memory: { nothing }, device } = recording;
  const PER_ROW = ids.shape[1]!;
  const sharedWidth = shared?.x.shape.at(-1) ?? 0;
  const tiles = Math.ceil(outputs / 4);
  own(down.values).parts.forEach(({ buffer, first, count }, i) => {
    const added = i === 0 ? shared : null;
    recording.dispatch(
      SHADERS.decodeDown,
      {
        constants: {
          ...constants,
          ...{ LANES: lanesFor(device, tiles, PER_ROW * width / 4), PER_ROW, SHARED: added !== null },
        },
        weight: weightType(down),
        workgroups: ({ rows }) => rows * tiles,
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

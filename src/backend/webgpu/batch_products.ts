/** Products of 9 to 32 rows, a decode step of so many sequences: a weight that is read serves all of them. */
import { type Constants, SHADERS } from "../../../shaders/mod.ts";
import type { Linear, Norm } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { pairs } from "./decode_products.ts";
import { byTiles } from "./prefill_dense.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";
import { computesByStrips } from "./software_products.ts";

/** Rows from which matrix products go by tiles: a weight that is read then serves enough of them that multiplying takes longer than reading. */
const PRODUCT_ROWS = 9;

/** Buffers that their kernel binds, with one for the dispatch behind it, more than some devices allow. */
const BUFFERS = 11;

/** Workgroup memory that a tile of f32 takes at most, which some devices lack. */
const TILE_BYTES = 32768;

/** Whether matrix products of plans for so many rows go by tiles; a CPU's only where all else does. */
export function productsByTiles({ device }: Recording, rows: number): boolean {
  return byTiles(rows) || rows >= PRODUCT_ROWS && !computesByStrips(device);
}

/** Whether they go by tiles that hold all rows of a step. A CPU would keep what belongs in registers in memory. */
export function byBatch(recording: Recording, rows: number): boolean {
  const { maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage } = recording.device.gpu.limits;
  return productsByTiles(recording, rows) && !byTiles(rows) &&
    maxComputeWorkgroupStorageSize >= TILE_BYTES && maxStorageBuffersPerShaderStage >= BUFFERS;
}

/** Workgroups that keep a GPU busy. */
const BUSY_WORKGROUPS = 256;

/** Lanes side by side in a tile: with more each workgroup reads x for more outputs, with fewer there are enough workgroups. */
function acrossFor(weightRows: number): number {
  return [8, 4].find((across) => weightRows / (8 * across) >= BUSY_WORKGROUPS) ?? 2;
}

/** Threads of the widest tile, and the workgroup memory that it takes: 64 vec4s of K of all rows, and of 16 rows of weights. */
const WIDEST = 512;
const widestBytes = (heldBytes: number) => 64 * (33 * 16 + 17 * heldBytes) + 128;

/** Where there are no more workgroups, or so many vec4s of K for each, they take the most threads. */
const FEW_WORKGROUPS = 64;
const MANY_COLUMNS = 1024;

function tileConstants(recording: Recording, weight: Weight, weightRows: number): Constants {
  const COLUMNS = weight.values.shape.at(-1)! / 4;
  const ACROSS = acrossFor(weightRows);
  // Few workgroups take more threads with fewer sums each.
  const [LANES, LANE_ROWS] = ACROSS > 2
    ? [128, 8]
    : [weightRows / 16 <= FEW_WORKGROUPS || COLUMNS >= MANY_COLUMNS ? widest(recording, weight) : 256, 4];
  return { ...scaling(recording, weight).constants, LANES, LANE_ROWS, ACROSS, COLUMNS };
}

function widest({ device: { gpu: { limits } } }: Recording, { values: { dtype } }: Weight): number {
  const bytes = widestBytes(dtype === "bf16" || dtype === "f16" ? 8 : 16); // shaders/lib/held_*.wgsl
  const holds = limits.maxComputeInvocationsPerWorkgroup >= WIDEST && limits.maxComputeWorkgroupStorageSize >= bytes;
  return holds ? WIDEST : 256;
}

interface ProductOptions {
  readonly add?: boolean;
  readonly rows?: "rows" | "outputs";
  /** What x goes through first. */
  readonly norm?: Norm | null;
  /** As {@linkcode DispatchOptions} has it. */
  readonly ahead?: readonly GPUBuffer[];
}

/** outs[i] = norm(hidden) @ W_i^T + b_i */
export function batchProject(
  recording: Recording,
  outs: readonly Tensor[],
  hidden: Tensor,
  norm: Norm,
  maps: readonly Linear[],
): void {
  const [one, other] = maps;
  const paired = maps.length === 2 && pairs(recording, one!, other!);
  if (paired) batchProduct(recording, outs[0]!, hidden, one!, { norm }, { out: outs[1]!, weight: other!.weight });
  else maps.forEach((map, i) => batchProduct(recording, outs[i]!, hidden, map, { norm }));
}

/** out = y @ W^T + b, or added to out, y being x or its norm, and other.out = y @ other.weight^T */
export function batchProduct(
  recording: Recording,
  out: Tensor | GPUBuffer,
  x: Tensor,
  { weight, bias }: Linear,
  { add = false, rows = "rows", norm = null, ahead = [] }: ProductOptions = {},
  other: { readonly out: Tensor; readonly weight: Weight } | null = null,
): void {
  const { nothing } = recording.memory;
  const outputs = weight.values.shape[0]!;
  const otherOutputs = other?.weight.values.shape[0] ?? 0;
  const constants = tileConstants(recording, weight, outputs + otherOutputs);
  const tileColumns = 8 * (constants["ACROSS"] as number);
  for (const { buffer, first, count } of own(weight.values).parts) {
    const tiles = Math.ceil(count / tileColumns) + Math.ceil(otherOutputs / tileColumns);
    recording.dispatch(
      SHADERS.batchProduct,
      {
        constants: {
          ...constants,
          ...{ NORM: norm !== null, PAIR: other !== null, OUTPUTS: rows === "outputs" },
          ...{ BIAS: bias !== null, ADD: add },
        },
        weight: weightType(weight),
        ahead,
        workgroups: (counts) => counts[rows] === 0 ? 0 : tiles,
      },
      {
        x: whole(x),
        norm: norm === null ? nothing : whole(norm.weight),
        weight: buffer,
        factors: scaling(recording, weight).factors,
        other_weight: other === null ? nothing : whole(other.weight.values, other.weight.values.dtype),
        other_factors: other === null ? nothing : scaling(recording, other.weight).factors,
        bias: bias === null ? nothing : whole(bias),
        out: "dtype" in out ? whole(out) : out,
        other_out: other === null ? recording.scratch("no other map", 1) : whole(other.out),
      },
      { outputs, other_outputs: otherOutputs, first, count, epsilon: norm?.eps ?? 0 },
    );
  }
}

/** out = silu(n @ gate^T) ⊙ (n @ up^T), n = norm(hidden); `ahead` as {@linkcode DispatchOptions} has it. */
export function batchGateUp(
  recording: Recording,
  out: Tensor,
  hidden: Tensor,
  norm: Norm,
  gate: Weight,
  up: Weight,
  ahead: readonly GPUBuffer[] = [],
): void {
  const outputs = gate.values.shape[0]!;
  const constants = tileConstants(recording, gate, 2 * outputs);
  const weightRows = 8 * (constants["ACROSS"] as number);
  const upParts = own(up.values).parts;
  own(gate.values).parts.forEach(({ buffer, first, count }, i) => {
    const tiles = Math.ceil(2 * count / weightRows);
    recording.dispatch(
      SHADERS.batchGateUp,
      {
        constants,
        weight: weightType(gate),
        ahead,
        workgroups: ({ rows }) => rows === 0 ? 0 : tiles,
      },
      {
        x: whole(hidden),
        norm: whole(norm.weight),
        gate: buffer,
        gate_factors: scaling(recording, gate).factors,
        up: upParts[i]!.buffer,
        up_factors: scaling(recording, up).factors,
        out: whole(out),
      },
      { outputs, first, count, epsilon: norm.eps },
    );
  });
}

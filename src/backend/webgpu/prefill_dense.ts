/** Matrix products of many rows: by tiles, so that a weight that is read serves all rows of one. */
import { type Constants, SHADERS } from "../../../shaders/mod.ts";
import type { Linear } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import type { Device } from "./device.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";
import type { SortedChoices } from "./sorted_choices.ts";

/** Rows from which everything goes by tiles: a decode step had better have fewer. */
export const MANY_ROWS = 33;

/** Whether products of plans for so many rows go by tiles. A row's bits are the same in all of them. */
export function byTiles(rows: number): boolean {
  return rows >= MANY_ROWS;
}

/** Threads of a workgroup, and blocks of four rows and of four columns that each of them sums up (shaders/lib/register_tile.wgsl). */
export interface TileShape {
  readonly across: number;
  readonly down: number;
  readonly rowBlocks: 1 | 2;
  readonly columnBlocks: 1 | 2;
}

export const tileRows = ({ down, rowBlocks }: TileShape): number => 4 * down * rowBlocks;
export const tileColumns = ({ across, columnBlocks }: TileShape): number => 4 * across * columnBlocks;

export function tileConstants({ across, down, rowBlocks, columnBlocks }: TileShape): Constants {
  return { LANES: across * down, ACROSS: across, DOWN: down, ROW_BLOCKS: rowBlocks, COLUMN_BLOCKS: columnBlocks };
}

/** Sorted choices, and how their tiles are computed. */
export interface Places extends SortedChoices {
  readonly shape: TileShape;
}

/**
 * The fastest of those tried on an H100; the fastest within the workgroup memory that every device has; and one that gives all units of a
 * device some work where there are few tiles.
 */
const LARGEST: TileShape = { across: 16, down: 16, rowBlocks: 2, columnBlocks: 2 };
const LARGE: TileShape = { across: 16, down: 16, rowBlocks: 2, columnBlocks: 1 };
const SMALL: TileShape = { across: 16, down: 8, rowBlocks: 1, columnBlocks: 1 };
const GATED: TileShape = { across: 16, down: 16, rowBlocks: 1, columnBlocks: 1 };
const LARGEST_BYTES = 21 * 1024;
const MANY_TILES = 128;

const tilesFor = (shape: TileShape, rows: number, outputs: number): number =>
  Math.ceil(rows / tileRows(shape)) * Math.ceil(outputs / tileColumns(shape));

/** Results are the same with any. */
function shapeFor({ gpu }: Device, rows: number, outputs: number): TileShape {
  if (rows <= tileRows(SMALL)) return SMALL;
  const room = gpu.limits.maxComputeWorkgroupStorageSize >= LARGEST_BYTES;
  const shapes = room ? [LARGEST, LARGE] : [LARGE];
  return shapes.find((shape) => tilesFor(shape, rows, outputs) >= MANY_TILES) ?? SMALL;
}

interface GemmOptions {
  readonly add: boolean;
  readonly rows: "rows" | "outputs";
  /** Rows are choices of experts. */
  readonly places?: Places;
}

/** out = x @ W^T + b, or added to out: out[T, N], x[T, K], W[N, K]; or for choices out[T, K, N], x[T, K, I], W[E, N, I] */
export function gemm(
  recording: Recording,
  out: Tensor | GPUBuffer,
  x: GPUBuffer,
  { weight, bias }: Linear,
  { add, rows, places }: GemmOptions,
): void {
  const [outputs, width] = weight.values.shape.slice(-2) as [number, number];
  const { factors, constants } = scaling(recording, weight);
  const shape = places?.shape ?? shapeFor(recording.device, recording.capacity[rows], outputs);
  const kind = { OUTPUTS: rows === "outputs", BIAS: bias !== null, ADD: add };
  for (const { buffer, first, count } of own(weight.values).parts) {
    const tiles = tilesOf(shape, outputs, { first, count }, places);
    recording.dispatch(
      SHADERS.gemm,
      {
        constants: { ...constants, ...kind, ...tiles.constants },
        weight: weightType(weight),
        workgroups: (counts) => tiles.workgroups(counts[rows]),
      },
      {
        x,
        weight: buffer,
        factors,
        bias: bias === null ? recording.memory.nothing : whole(bias),
        places: places?.buffer ?? recording.memory.nothing,
        out: "dtype" in out ? whole(out) : out,
      },
      { columns: width / 4, outputs, ...tiles.columns, first, count },
    );
  }
}

/** out = silu(x @ gate^T) ⊙ (x @ up^T): out[T, I], gate and up [I, H]; or for choices out[T, K, I], gate and up [E, I, H] */
export function gatedGemm(
  recording: Recording,
  out: Tensor,
  x: GPUBuffer,
  gate: Weight,
  up: Weight,
  places?: Places,
): void {
  const [outputs, width] = gate.values.shape.slice(-2) as [number, number];
  const { factors, constants } = scaling(recording, gate);
  const shape = places?.shape ?? GATED;
  const upParts = own(up.values).parts;
  own(gate.values).parts.forEach(({ buffer, first, count }, i) => {
    const tiles = tilesOf(shape, outputs, { first, count }, places);
    recording.dispatch(
      SHADERS.gemmGateUp,
      {
        constants: { ...constants, ...tiles.constants, PER_ROW: places?.perRow ?? 1 },
        weight: weightType(gate),
        workgroups: ({ rows }) => tiles.workgroups(rows),
      },
      {
        x,
        gate: buffer,
        gate_factors: factors,
        up: upParts[i]!.buffer,
        up_factors: scaling(recording, up).factors,
        places: places?.buffer ?? recording.memory.nothing,
        out: whole(out),
      },
      { columns: width / 4, outputs, ...tiles.columns, first, count },
    );
  });
}

/** How the products with one part of a weight are cut. A matrix's part has outputs of its own; a choice may fall on any row of a stack. */
function tilesOf(
  shape: TileShape,
  outputs: number,
  { first, count }: { readonly first: number; readonly count: number },
  places: Places | undefined,
) {
  const [start, most] = places ? [0, outputs] : [first, count];
  const columnTiles = Math.ceil(most / tileColumns(shape));
  return {
    constants: { ...tileConstants(shape), ROUTED: places !== undefined, ROW_TILES: places?.tiles ?? 0 },
    columns: { start, column_tiles: columnTiles },
    workgroups: (rows: number) => columnTiles * (places?.tiles ?? Math.ceil(rows / tileRows(shape))),
  };
}

/** Rows of a weight as float32 whatever it is stored in, with the factors that codes come with (spec d). */
import { CheckpointError, quoted, shown } from "./checkpoint_error.ts";
import { isWeightType, toF32, WEIGHT_TYPES, type WeightType } from "./dtype.ts";
import { fromGroups } from "./groups.ts";
import { packedWeight, readPacked } from "./packed.ts";
import type { Checkpoint, TensorEntry } from "./safetensors.ts";
import { readGroups, storedGroups } from "./stored_groups.ts";

/** Rows and columns of a block of weights that shares one scale; smaller at the edges. */
export type BlockSize = readonly [rows: number, columns: number];

/** The scales of an F8_E4M3 weight: one for each `block` of it. */
export interface ScaleGrid {
  readonly scales: TensorEntry;
  readonly block: BlockSize;
}

/** Despite the first one's name both multiply: value = code · scale. */
export const SCALE_SUFFIXES = ["_scale_inv", "_scale"];

/** Scales themselves are not scaled. */
const SCALE_TYPES = WEIGHT_TYPES.filter((type) => type !== "F8_E4M3");

/** Which rows of a tensor; `rows` left out means up to the last. */
export interface RowRange {
  readonly firstRow?: number;
  readonly rows?: number | undefined;
}

/**
 * Rows of a tensor as float32 [rows, …]; a scaled value is rounded once, to nearest.
 * @param weightBlock the configuration's `weight_block_size`
 * @throws {CheckpointError} if the tensor is missing or not a weight, or its scales are missing, misshapen or not positive
 */
export async function readF32(
  checkpoint: Checkpoint,
  name: string,
  weightBlock: BlockSize,
  { firstRow = 0, rows }: RowRange = {},
): Promise<Float32Array<ArrayBuffer>> {
  const packed = packedWeight(checkpoint.tensors, name, weightBlock);
  if (packed) return await readPacked(checkpoint, packed, { firstRow, rows });
  const entry = checkpoint.entry(name);
  const groups = storedGroups(checkpoint.tensors, entry);
  if (groups) return fromGroups(groups.type, await readGroups(checkpoint, groups, { firstRow, rows }));
  const dtype = weightType(entry);
  const grid = dtype === "F8_E4M3" ? scaleGrid(checkpoint.tensors, entry, weightBlock) : null;
  const values = toF32(dtype, await checkpoint.read(name, firstRow, rows));
  if (grid) await applyScales(checkpoint, grid, values, firstRow, entry.shape[1]!);
  return values;
}

/** @throws {CheckpointError} if the tensor's type is not one that weights may have */
export function weightType(entry: TensorEntry): WeightType {
  if (isWeightType(entry.dtype)) return entry.dtype;
  refuse(entry, "as a weight", `its dtype is ${entry.dtype}, not one of ${WEIGHT_TYPES.join(", ")}`);
}

/**
 * Finds the scales of an F8_E4M3 weight [m, n]: a single one, or one a row [m, 1], or one a block [⌈m/rows⌉, ⌈n/columns⌉].
 * @throws {CheckpointError} if it has none, or they fit none of these
 */
export function scaleGrid(
  tensors: ReadonlyMap<string, TensorEntry>,
  weight: TensorEntry,
  weightBlock: BlockSize,
): ScaleGrid {
  const [m, n] = weight.shape;
  if (m === undefined || n === undefined || weight.shape.length > 2) {
    refuse(
      weight,
      "as a weight",
      `it is F8_E4M3, which is read for matrices only, and its shape is ${shown(weight.shape)}`,
    );
  }
  const scales = SCALE_SUFFIXES.map((suffix) => tensors.get(weight.name + suffix)).find((found) => found);
  if (!scales) {
    const [first, second] = SCALE_SUFFIXES.map((suffix) => quoted(weight.name + suffix));
    refuse(weight, "as a weight", `it is F8_E4M3 and has neither ${first} nor ${second}`);
  }
  if (!SCALE_TYPES.some((type) => type === scales.dtype)) {
    refuse(scales, "as scales", `its dtype is ${scales.dtype}, not one of ${SCALE_TYPES.join(", ")}`);
  }
  const block = blockOf(m, n, scales.shape, weightBlock);
  if (!block) {
    const blocks = `a weight of ${shown(weight.shape)} in blocks of ${shown(weightBlock)}`;
    refuse(scales, "as scales", `its shape ${shown(scales.shape)} does not fit ${blocks}`);
  }
  return { scales, block };
}

function blockOf(m: number, n: number, scales: readonly number[], weightBlock: BlockSize): BlockSize | null {
  if (scales.every((size) => size === 1)) return [m, n];
  if (scales.length !== 2) return null;
  if (scales[0] === m && scales[1] === 1) return [1, n];
  const [rows, columns] = weightBlock;
  return scales[0] === Math.ceil(m / rows) && scales[1] === Math.ceil(n / columns) ? weightBlock : null;
}

/**
 * Scales as float32, [rows of blocks, columns of blocks]; the range counts rows of blocks.
 * @throws {CheckpointError} if one is not positive and finite
 */
export async function readScales(
  checkpoint: Checkpoint,
  { scales }: ScaleGrid,
  { firstRow, rows }: RowRange = {},
): Promise<Float32Array<ArrayBuffer>> {
  const factors = toF32(weightType(scales), await checkpoint.read(scales.name, firstRow, rows));
  const bad = factors.find((factor) => !(factor > 0 && factor < Infinity));
  if (bad !== undefined) refuse(scales, "as scales", `it holds ${bad}, and a scale must be positive and finite`);
  return factors;
}

/** Multiplies rows from `firstRow` of a weight, [rows, columns] in place, by the scales of their blocks. */
async function applyScales(
  checkpoint: Checkpoint,
  grid: ScaleGrid,
  values: Float32Array,
  firstRow: number,
  columns: number,
): Promise<void> {
  const [blockRows, blockColumns] = grid.block;
  const rows = values.length / columns;
  const firstBlock = Math.floor(firstRow / blockRows);
  const blocks = Math.ceil((firstRow + rows) / blockRows) - firstBlock;
  const factors = await readScales(checkpoint, grid, { firstRow: firstBlock, rows: blocks });
  const perRow = Math.ceil(columns / blockColumns);
  for (let row = 0; row < rows; row++) {
    const blockRow = (Math.floor((firstRow + row) / blockRows) - firstBlock) * perRow;
    for (let column = 0; column < columns; column++) {
      values[row * columns + column]! *= factors[blockRow + Math.floor(column / blockColumns)]!;
    }
  }
}

function refuse({ name, shard }: TensorEntry, use: string, why: string): never {
  throw new CheckpointError(`Cannot use tensor ${quoted(name)} of ${quoted(shard)} ${use}: ${why}`);
}

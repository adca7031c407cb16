/** Matrices in groups of 32 that are stored otherwise: rounded a slice at a time. */
import type { Backend } from "../backend/backend.ts";
import { elements, type Tensor, type Weight } from "../backend/tensor.ts";
import { GROUP, type Groups, type GroupType, toGroups } from "../formats/groups.ts";
import { isQ4, packedWeight, readPackedGroups } from "../formats/packed.ts";
import { readF32 } from "../formats/quantization.ts";
import { factorShape } from "../formats/stored_groups.ts";
import type { Checkpoint } from "../formats/safetensors.ts";
import { storedWeight } from "../formats/stored_weight.ts";
import type { ModelConfig } from "./config.ts";
import { type Piece, rowRanges, type Rows } from "./weight_stream.ts";

/** Values that are rounded at once: 4 MiB of float32. */
const SLICE_VALUES = 1 * 2 ** 20;

/** Rows of a matrix in groups, from `firstRow` on. */
export interface GroupSlice extends Groups {
  readonly firstRow: number;
}

/** A weight in groups, all zeros. */
export interface GroupWeight extends Weight {
  readonly values: Tensor;
  readonly scales: NonNullable<Weight["scales"]>;
}

/** Makes a weight of that shape, […, N, K]. */
export function makeGroups(backend: Backend, type: GroupType, label: string, shape: readonly number[]): GroupWeight {
  const values = backend.tensor(label, type, shape);
  const factors = backend.tensor(`${label} factors`, "f16", factorShape(type, shape));
  return { values, scales: { factors, block: [1, GROUP] } };
}

/** Where some groups belong whose first row is `row` of all rows of the weight. */
export function groupPieces({ values, scales }: GroupWeight, row: number, { codes, factors }: Groups): Piece[] {
  const axes = values.shape.length;
  const perRow = elements(scales.factors.shape.slice(axes - 1));
  return [
    { tensor: values, offset: row * values.shape[axes - 1]!, bytes: codes },
    { tensor: scales.factors, offset: row * perRow, bytes: factors },
  ];
}

/** A matrix [N, K] in ranges of an even number of rows, so that the factors of each fill whole words. */
export function groupRanges(N: number, K: number): Generator<Rows> {
  return rowRanges(N, 2 * Math.max(1, Math.floor(SLICE_VALUES / (2 * K))));
}

/** A matrix in slices. */
export async function* groupSlices(
  checkpoint: Checkpoint,
  type: GroupType,
  name: string,
  weightBlock: ModelConfig["weightBlock"],
): AsyncGenerator<GroupSlice> {
  const [N, K] = storedWeight(checkpoint, name, weightBlock).shape as [number, number];
  for (const rows of groupRanges(N, K)) {
    yield { firstRow: rows.firstRow, ...await readInGroups(checkpoint, type, name, weightBlock, rows) };
  }
}

/** Rows in groups: in the codes that they are stored in if these are known by another name, else rounded. */
export async function readInGroups(
  checkpoint: Checkpoint,
  type: GroupType,
  name: string,
  weightBlock: ModelConfig["weightBlock"],
  range: Rows,
): Promise<Groups> {
  const packed = packedWeight(checkpoint.tensors, name, weightBlock);
  if (packed && type === "q4" && isQ4(packed)) return await readPackedGroups(checkpoint, packed, range);
  return toGroups(type, await readF32(checkpoint, name, weightBlock, range));
}

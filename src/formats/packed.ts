/** Published layouts of small codes: compressed-tensors' W4A16 (spec d.2) and mlx's affine one (spec d.3). */
import { CheckpointError, quoted, shown } from "./checkpoint_error.ts";
import { isWeightType, toF32 } from "./dtype.ts";
import { GROUP, type Groups } from "./groups.ts";
import type { BlockSize, RowRange } from "./quantization.ts";
import type { Checkpoint, TensorEntry } from "./safetensors.ts";

/** Codes [N, K], as many to a word of 32 bits as fit, the first in the lowest bits: value = code · scale + minimum. */
export interface PackedWeight {
  readonly shape: readonly [N: number, K: number];
  readonly bits: 4 | 8;
  /** Columns that share a scale. */
  readonly group: number;
  readonly codes: TensorEntry;
  /** [N, K / group] */
  readonly scales: TensorEntry;
  /** Likewise; null where it is -8 scales. */
  readonly minima: TensorEntry | null;
}

/** W4A16's code for zero. */
const MIDDLE = 8;

/** Names of the tensors that a packed weight may have; the shape is repeated in one that is not needed. */
export function packedNames(name: string): string[] {
  const stem = name.replace(/weight$/, "");
  return [`${name}_packed`, `${name}_scale`, `${name}_shape`, `${stem}scales`, `${stem}biases`];
}

/**
 * Finds a weight in one of these layouts; null if it is in none. `block` has the columns of mlx's groups.
 * @throws {CheckpointError} if its tensors do not fit each other
 */
export function packedWeight(
  tensors: ReadonlyMap<string, TensorEntry>,
  name: string,
  [, mlxGroup]: BlockSize,
): PackedWeight | null {
  const [packed, scale, , mlxScales, mlxBiases] = packedNames(name).map((name) => tensors.get(name));
  if (packed && !tensors.has(name)) {
    if (!scale) refuse(packed, `it has no ${quoted(`${name}_scale`)}`);
    const K = 8 * packed.shape[1]!;
    return checked(
      { ...sizes(packed, scale, 4, K / scale.shape[1]!), codes: packed, scales: scale, minima: null },
      "I32",
    );
  }
  const codes = tensors.get(name);
  if (codes?.dtype !== "U32" || !mlxScales || !mlxBiases) return null;
  const bits = 32 * codes.shape[1]! / (mlxScales.shape[1]! * mlxGroup);
  return checked({ ...sizes(codes, mlxScales, bits, mlxGroup), codes, scales: mlxScales, minima: mlxBiases }, "U32");
}

function sizes(codes: TensorEntry, scales: TensorEntry, bits: number, group: number) {
  const shape = [codes.shape[0]!, scales.shape[1]! * group] as const;
  return { shape, bits: bits as PackedWeight["bits"], group };
}

function checked(weight: PackedWeight, dtype: string): PackedWeight {
  const { codes, scales, minima, shape: [N, K], bits, group } = weight;
  if (codes.dtype !== dtype || codes.shape.length !== 2 || !Number.isInteger(group) || (bits !== 4 && bits !== 8)) {
    refuse(codes, `${codes.dtype} ${shown(codes.shape)} are no codes of 4 or 8 bits in groups of ${group}`);
  }
  for (const factors of minima ? [scales, minima] : [scales]) {
    if (isWeightType(factors.dtype) && shown(factors.shape) === shown([N, K / group])) continue;
    refuse(
      factors,
      `${factors.dtype} ${shown(factors.shape)} are no factors of codes ${shown([N, K])} in groups of ${group}`,
    );
  }
  return weight;
}

/** Scales and minima of some rows as float32, [rows, K / group] each. */
async function readFactors(checkpoint: Checkpoint, { scales, minima }: PackedWeight, { firstRow, rows }: RowRange) {
  const read = async (entry: TensorEntry) =>
    toF32(entry.dtype as "BF16", await checkpoint.read(entry.name, firstRow, rows));
  const all = await read(scales);
  return { scales: all, minima: minima ? await read(minima) : all.map((scale) => -MIDDLE * scale) };
}

/** Rows as float32, each value rounded once. */
export async function readPacked(
  checkpoint: Checkpoint,
  weight: PackedWeight,
  range: RowRange = {},
): Promise<Float32Array<ArrayBuffer>> {
  const codes = await checkpoint.read(weight.codes.name, range.firstRow, range.rows);
  const { scales, minima } = await readFactors(checkpoint, weight, range);
  const values = new Float32Array(codes.length * 8 / weight.bits);
  for (let i = 0; i < values.length; i++) {
    const code = weight.bits === 8 ? codes[i]! : i % 2 === 0 ? codes[i >> 1]! & 15 : codes[i >> 1]! >> 4;
    const group = Math.floor(i / weight.group);
    values[i] = code * scales[group]! + minima[group]!;
  }
  return values;
}

/** Whether {@linkcode readPackedGroups} can read it: the codes are those of q4 then. */
export function isQ4({ bits, group }: PackedWeight): boolean {
  return bits === 4 && group % GROUP === 0;
}

/**
 * Rows of a 4-bit weight as q4: the same codes, and for each 32 columns the factors of the group that they are in. The
 * values are the same where float16 holds the factors, as it does those of F16 and, from 2^-17 on, of BF16; else these
 * are rounded.
 * @throws {CheckpointError} for a factor that is beyond float16
 */
export async function readPackedGroups(
  checkpoint: Checkpoint,
  weight: PackedWeight,
  range: RowRange = {},
): Promise<Groups> {
  const { scales, minima } = await readFactors(checkpoint, weight, range);
  const perGroup = weight.group / GROUP;
  const factors = new Float16Array(2 * scales.length * perGroup);
  for (let i = 0; i < scales.length * perGroup; i++) {
    const group = Math.floor(i / perGroup);
    factors[2 * i] = scales[group]!;
    factors[2 * i + 1] = minima[group]!;
  }
  const bad = factors.find((factor) => !Number.isFinite(factor));
  if (bad !== undefined) refuse(weight.scales, `a factor is ${bad} as float16`);
  const codes = await checkpoint.read(weight.codes.name, range.firstRow, range.rows);
  return { codes, factors: new Uint8Array(factors.buffer) };
}

function refuse({ name, shard }: TensorEntry, why: string): never {
  throw new CheckpointError(`Cannot use tensor ${quoted(name)} of ${quoted(shard)} as part of a packed weight: ${why}`);
}

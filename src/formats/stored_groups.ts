/** Matrices that a checkpoint stores in groups, as `ringlet convert` writes them: codes, and factors beside them. */
import { CheckpointError, quoted, shown } from "./checkpoint_error.ts";
import { GROUP, type Groups, type GroupType } from "./groups.ts";
import type { RowRange } from "./quantization.ts";
import type { Checkpoint, TensorEntry } from "./safetensors.ts";

/** Factors of the codes NAME lie in NAME_factors, F16. */
export const FACTORS_SUFFIX = "_factors";

/** How codes are stored: q8 as I8 [N, K], q4 as U32 [N, K / 8], the first of eight in the lowest bits. */
export const STORED_CODES = {
  q8: { dtype: "I8", perElement: 1 },
  q4: { dtype: "U32", perElement: 8 },
} as const;

const FACTORS_PER_GROUP = { q8: 1, q4: 2 } as const;

export interface StoredGroups {
  readonly type: GroupType;
  readonly shape: readonly [N: number, K: number];
  readonly codes: TensorEntry;
  readonly factors: TensorEntry;
}

/** The shape of a matrix's factors: [N, K / 32], for q4 [N, K / 32, 2]. */
export function factorShape(type: GroupType, shape: readonly number[]): number[] {
  const perRow = [...shape.slice(0, -1), shape.at(-1)! / GROUP];
  return type === "q4" ? [...perRow, FACTORS_PER_GROUP.q4] : perRow;
}

/**
 * Reads a tensor's description as codes; null if it is of another type.
 * @throws {CheckpointError} if its factors are missing or do not fit
 */
export function storedGroups(
  tensors: ReadonlyMap<string, TensorEntry>,
  codes: TensorEntry,
): StoredGroups | null {
  const type = codes.dtype === STORED_CODES.q8.dtype ? "q8" : codes.dtype === STORED_CODES.q4.dtype ? "q4" : null;
  if (type === null) return null;
  const [N, words] = codes.shape;
  if (N === undefined || words === undefined || codes.shape.length > 2) {
    refuse(codes, `it is ${codes.dtype}, which is read for matrices only, and its shape is ${shown(codes.shape)}`);
  }
  const factors = tensors.get(codes.name + FACTORS_SUFFIX);
  if (!factors) refuse(codes, `it is ${codes.dtype} and has no ${quoted(codes.name + FACTORS_SUFFIX)}`);
  const shape = [N, words * STORED_CODES[type].perElement] as const;
  const wanted = factorShape(type, shape);
  if (factors.dtype !== "F16" || shown(factors.shape) !== shown(wanted)) {
    refuse(
      factors,
      `it is ${factors.dtype} ${shown(factors.shape)}, and codes of ${shown(shape)} need F16 ${shown(wanted)}`,
    );
  }
  return { type, shape, codes, factors };
}

/** Rows of codes with their factors, as they are stored. */
export async function readGroups(
  checkpoint: Checkpoint,
  { codes, factors }: StoredGroups,
  { firstRow, rows }: RowRange = {},
): Promise<Groups> {
  return {
    codes: await checkpoint.read(codes.name, firstRow, rows),
    factors: await checkpoint.read(factors.name, firstRow, rows),
  };
}

function refuse({ name, shard }: TensorEntry, why: string): never {
  throw new CheckpointError(`Cannot use tensor ${quoted(name)} of ${quoted(shard)} as a quantized weight: ${why}`);
}

/** What a checkpoint holds under a weight's name, whichever way it is stored. */
import type { WeightType } from "./dtype.ts";
import type { GroupType } from "./groups.ts";
import { isQ4, packedWeight } from "./packed.ts";
import { type BlockSize, scaleGrid, weightType } from "./quantization.ts";
import type { Checkpoint, TensorEntry } from "./safetensors.ts";
import { storedGroups } from "./stored_groups.ts";

export interface StoredWeight {
  /** `packed`: codes of a published layout; those of `packed-q4` are q4's too. */
  readonly type: WeightType | GroupType | "packed" | "packed-q4";
  /** Of its values. */
  readonly shape: readonly number[];
  /** Codes and factors. */
  readonly entries: readonly TensorEntry[];
}

/**
 * Finds a weight with what belongs to it.
 * @throws {CheckpointError} if it is missing, or of a type that cannot be read, or its factors do not fit
 */
export function storedWeight(checkpoint: Checkpoint, name: string, weightBlock: BlockSize): StoredWeight {
  const packed = packedWeight(checkpoint.tensors, name, weightBlock);
  if (packed) {
    const { shape, codes, scales, minima } = packed;
    const entries = minima ? [codes, scales, minima] : [codes, scales];
    return { type: isQ4(packed) ? "packed-q4" : "packed", shape, entries };
  }
  const entry = checkpoint.entry(name);
  const groups = storedGroups(checkpoint.tensors, entry);
  if (groups) return { type: groups.type, shape: groups.shape, entries: [groups.codes, groups.factors] };
  const type = weightType(entry);
  if (type !== "F8_E4M3") return { type, shape: entry.shape, entries: [entry] };
  return { type, shape: entry.shape, entries: [entry, scaleGrid(checkpoint.tensors, entry, weightBlock).scales] };
}

/** Bytes of a weight in the checkpoint. */
export function storedBytes({ entries }: StoredWeight): number {
  return entries.reduce((sum, { begin, end }) => sum + end - begin, 0);
}

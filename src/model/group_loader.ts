/** Brings matrices onto a backend in groups of 32: copied where they are stored so, else rounded a slice at a time. */
import type { Backend } from "../backend/backend.ts";
import type { Weight } from "../backend/tensor.ts";
import { GROUP, type Groups, type GroupType, toGroups } from "../formats/groups.ts";
import { isQ4, packedWeight, readPackedGroups } from "../formats/packed.ts";
import { readF32, type RowRange } from "../formats/quantization.ts";
import { factorShape, readGroups, storedGroups } from "../formats/stored_groups.ts";
import type { Checkpoint } from "../formats/safetensors.ts";
import { storedWeight } from "../formats/stored_weight.ts";
import type { ModelConfig } from "./config.ts";

/** Values that are rounded at once: 16 MiB of float32. */
const SLICE_VALUES = 4 * 2 ** 20;

/** Where matrices come from and go to. */
export interface GroupLoading {
  readonly backend: Backend;
  readonly checkpoint: Checkpoint;
  readonly config: Pick<ModelConfig, "weightBlock">;
}

/** Rows of a matrix in groups, from `firstRow` on. */
export interface GroupSlice extends Groups {
  readonly firstRow: number;
}

/** Loads the matrices `names` into one weight of that shape; `onLoaded` hears each name. */
export async function loadGroups(
  { backend, checkpoint, config }: GroupLoading,
  type: GroupType,
  label: string,
  names: readonly string[],
  shape: readonly number[],
  onLoaded: (name: string) => void,
): Promise<Weight> {
  const values = backend.tensor(label, type, shape);
  const factors = backend.tensor(`${label} factors`, "f16", factorShape(type, shape));
  const [N, K] = shape.slice(-2) as [number, number];
  const perRow = factors.shape.slice(shape.length - 1).reduce((product, size) => product * size);
  for (const [i, name] of names.entries()) {
    for await (const slice of groupSlices(checkpoint, type, name, config.weightBlock)) {
      const row = i * N + slice.firstRow;
      await backend.write(values, row * K, slice.codes);
      await backend.write(factors, row * perRow, slice.factors);
    }
    onLoaded(name);
  }
  return { values, scales: { factors, block: [1, GROUP] } };
}

/** A matrix in slices of an even number of rows, so that the factors of each fill whole words. */
export async function* groupSlices(
  checkpoint: Checkpoint,
  type: GroupType,
  name: string,
  weightBlock: ModelConfig["weightBlock"],
): AsyncGenerator<GroupSlice> {
  const [N, K] = storedWeight(checkpoint, name, weightBlock).shape as [number, number];
  const step = 2 * Math.max(1, Math.floor(SLICE_VALUES / (2 * K)));
  for (let firstRow = 0; firstRow < N; firstRow += step) {
    const range = { firstRow, rows: Math.min(step, N - firstRow) };
    yield { firstRow, ...await readAs(type, checkpoint, name, weightBlock, range) };
  }
}

/** Rows in groups: as they are stored if that is in the same codes, else rounded. */
async function readAs(
  type: GroupType,
  checkpoint: Checkpoint,
  name: string,
  weightBlock: ModelConfig["weightBlock"],
  range: RowRange,
): Promise<Groups> {
  const packed = packedWeight(checkpoint.tensors, name, weightBlock);
  if (packed && type === "q4" && isQ4(packed)) return await readPackedGroups(checkpoint, packed, range);
  const stored = packed ? null : storedGroups(checkpoint.tensors, checkpoint.entry(name));
  if (stored?.type === type) return await readGroups(checkpoint, stored, range);
  return toGroups(type, await readF32(checkpoint, name, weightBlock, range));
}

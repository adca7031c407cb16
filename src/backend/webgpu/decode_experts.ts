/** How experts of few rows are read: one row's as they are chosen, those of several in pairs that share one, a shared one beside them. */
import type { Constants, Variant } from "../../../shaders/mod.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { byTiles } from "./prefill_dense.ts";
import { own, type Recording, whole } from "./recording.ts";
import { byStrips } from "./software_products.ts";
import { sortChoices, sortedChoices } from "./sorted_choices.ts";

/** Buffers that the kernels bind, more than some devices allow. */
const BUFFERS = 14;

/** And those of a kernel that chooses for itself. */
const CHOOSING_BUFFERS = 17;

/** Choices that share an expert and are multiplied with its weights at once: of 32 rows most experts have one or two. */
export const TILE_ROWS = 2;

/** Whether experts go by few rows here. */
export function decodesExperts({ device, capacity }: Recording): boolean {
  return !byTiles(capacity.rows) && device.gpu.limits.maxStorageBuffersPerShaderStage >= BUFFERS;
}

/**
 * How the kernels may read a shared expert's weights beside the others: stored as those are, or in 8 bits beside 4, and in one
 * part; null if they may not.
 */
export function besideOthers(
  recording: Recording,
  weight: Weight,
  shared: readonly Weight[],
): Variant["shared"] | null {
  const { values, scales } = weight;
  const inOnePart = shared.every((each) =>
    own(each.values).parts.length === 1 && `${each.scales?.block}` === `${scales?.block}`
  );
  const types = new Set(shared.map(({ values }) => values.dtype));
  if (!inOnePart || types.size > 1) return null;
  if (types.has(values.dtype)) return "alike";
  return values.dtype === "q4" && types.has("q8") && !byStrips(recording, [weight]) ? "q8" : null;
}

/** What a router leaves to the kernel that reads the experts of one row: its logits, and how to choose (shaders/lib/choose.wgsl). */
export interface Choice {
  readonly logits: GPUBuffer;
  readonly bias: GPUBuffer;
  readonly weights: Tensor;
  readonly scale: number;
  readonly constants: Constants;
}

/** Whether the kernel that reads the experts may choose them as well. */
export function choosesWhileReading(recording: Recording): boolean {
  const { capacity, device } = recording;
  return capacity.rows === 1 && decodesExperts(recording) &&
    device.gpu.limits.maxStorageBuffersPerShaderStage >= CHOOSING_BUFFERS;
}

/** Sorts the choices by expert for a decode step's experts: one row's are read as they come. */
export function orderChoices(recording: Recording, ids: Tensor, experts: number): void {
  if (!decodesExperts(recording) || recording.capacity.rows === 1) return;
  sortChoices(recording, ids, sortedChoices(recording, ids, experts, TILE_ROWS));
}

/** The choices of a step, as kernels take them. */
export interface Chosen {
  readonly chosen: GPUBuffer;
  /** Tiles of choices, or choices. */
  readonly tiles: number;
  readonly constants: Constants;
}

/** What lib/choices.wgsl reads. */
export function choicesOf(recording: Recording, ids: Tensor, experts: number): Chosen {
  const PER_ROW = ids.shape[1]!;
  if (recording.capacity.rows === 1) {
    return { chosen: whole(ids, "u32"), tiles: PER_ROW, constants: { ROWS: 1, PER_ROW, TILES: 0 } };
  }
  const { buffer, tiles } = sortedChoices(recording, ids, experts, TILE_ROWS);
  return { chosen: buffer, tiles, constants: { ROWS: TILE_ROWS, PER_ROW, TILES: tiles } };
}

/** What a whole model takes on one device, from its files alone. */
import { expectedTensors } from "../model/tensor_names.ts";
import type { KvCacheType, Quantize } from "../pipeline/messages.ts";
import { heldBytesOf } from "./held_bytes.ts";
import { stageConfig } from "./open.ts";
import { snapshotsFor, type StageSize, stageSize } from "./size.ts";

export interface SizeOptions {
  readonly maxContext?: number;
  readonly maxSequences?: number;
  readonly quantize?: Quantize;
  readonly kvCache?: KvCacheType;
  readonly ropeScaling?: string | null;
  /** Of a config.json by itself. */
  readonly randomWeights?: boolean;
}

/** Rows of a step, as on a GPU that has one sequence; elsewhere there are fewer. */
const MAX_ROWS = 2048;

export interface ModelSize extends StageSize {
  /** Positions that the estimate is for. */
  readonly context: number;
}

/**
 * The size of the model in `model`, or of one by its configuration alone, for so many sequences of so many positions (by default the
 * model's own).
 */
export async function modelSize(
  model: string,
  {
    maxContext,
    maxSequences: slots = 1,
    quantize = "none",
    kvCache = "f32",
    ropeScaling = null,
    randomWeights = false,
  }: SizeOptions = {},
): Promise<ModelSize> {
  const config = await stageConfig({ model, ropeScaling });
  const bytesOf = await heldBytesOf(config, { model, randomWeights, quantize });
  const weightBytes = expectedTensors(config).map(bytesOf).reduce((sum, bytes) => sum + bytes);
  const context = maxContext ?? config.maxPositions;
  const layers = { start: 0, end: config.layers };
  const [maxRows, snapshots] = [Math.min(MAX_ROWS, context), snapshotsFor(slots, 1, true)];
  const options = { layers, kvCache, slots, context, maxRows, snapshots };
  return { ...stageSize(config, options, weightBytes), context };
}

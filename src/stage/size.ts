/** What a model takes in memory, from its files alone. */
import { openCheckpoint } from "../formats/safetensors.ts";
import { loadConfig } from "../model/load_config.ts";
import { stateBytes } from "../model/model.ts";
import { expectedTensors } from "../model/tensor_names.ts";

export interface ModelSize {
  /** All weights, as they are stored. */
  readonly weightBytes: number;
  /** Linear states and KV caches of all sequences at full context. */
  readonly stateBytes: number;
  /** Positions that the estimate is for. */
  readonly context: number;
}

/** The size of the model in `folder` for so many sequences of so many positions (by default the model's own). */
export async function modelSize(
  folder: string,
  { maxContext, maxSequences = 1 }: { readonly maxContext?: number; readonly maxSequences?: number } = {},
): Promise<ModelSize> {
  const config = await loadConfig(folder);
  using checkpoint = await openCheckpoint(folder);
  const context = maxContext ?? config.maxPositions;
  const weightBytes = expectedTensors(config).reduce((sum, { name }) => {
    const { begin, end } = checkpoint.entry(name);
    return sum + end - begin;
  }, 0);
  const layers = { start: 0, end: config.layers };
  return { weightBytes, stateBytes: stateBytes(config, { layers, slots: maxSequences, context }), context };
}

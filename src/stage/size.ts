/** What a model takes in memory, from its files alone. */
import { elements } from "../backend/tensor.ts";
import { type Checkpoint, openCheckpoint } from "../formats/safetensors.ts";
import { storedBytes, storedWeight } from "../formats/stored_weight.ts";
import type { ModelConfig } from "../model/config.ts";
import { loadConfig } from "../model/load_config.ts";
import { stateBytes } from "../model/model.ts";
import { heldBytes, heldType, isStoredAs } from "../model/quantization_policy.ts";
import { expectedTensors, type NamedShape } from "../model/tensor_names.ts";
import type { LayerRange, Quantize } from "../pipeline/messages.ts";

export interface SizeOptions {
  readonly maxContext?: number;
  readonly maxSequences?: number;
  readonly quantize?: Quantize;
}

export interface ModelSize {
  /** All weights, as they are held. */
  readonly weightBytes: number;
  /** Linear states and KV caches of all sequences at full context. */
  readonly stateBytes: number;
  /** Positions that the estimate is for. */
  readonly context: number;
}

/** The size of the model in `folder` for so many sequences of so many positions (by default the model's own). */
export async function modelSize(
  folder: string,
  { maxContext, maxSequences = 1, quantize = "none" }: SizeOptions = {},
): Promise<ModelSize> {
  const config = await loadConfig(folder);
  using checkpoint = await openCheckpoint(folder);
  const context = maxContext ?? config.maxPositions;
  const layers = { start: 0, end: config.layers };
  return {
    weightBytes: weightBytes(checkpoint, config, { layers, quantize }),
    stateBytes: stateBytes(config, { layers, slots: maxSequences, context }),
    context,
  };
}

/** Bytes of the weights of some layers, as they are held. */
export function weightBytes(
  checkpoint: Checkpoint,
  config: ModelConfig,
  { layers, quantize }: { readonly layers: LayerRange; readonly quantize: Quantize },
): number {
  return expectedTensors(config, layers).map(bytesOf(checkpoint, config, quantize)).reduce((sum, bytes) => sum + bytes);
}

/** Tells the bytes of a weight, as it is held. */
export function bytesOf(
  checkpoint: Checkpoint,
  { weightBlock }: ModelConfig,
  quantize: Quantize,
): (tensor: NamedShape) => number {
  return ({ name, shape }) => {
    const stored = storedWeight(checkpoint, name, weightBlock);
    const type = heldType(quantize, name, stored);
    return isStoredAs(type, stored) ? storedBytes(stored) : heldBytes(type, elements(shape));
  };
}

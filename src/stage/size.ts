/** What layers of a model take in memory. */
import { elements } from "../backend/tensor.ts";
import type { Checkpoint } from "../formats/safetensors.ts";
import { storedBytes, storedWeight } from "../formats/stored_weight.ts";
import { activationBytes } from "../model/activations.ts";
import type { ModelConfig } from "../model/config.ts";
import { pageSize } from "../model/kv_cache.ts";
import { type StateBytes, stateBytes } from "../model/state_bytes.ts";
import { heldBytes, heldType, isStoredAs } from "../model/quantization_policy.ts";
import { expectedTensors, type NamedShape } from "../model/tensor_names.ts";
import type { PrefixCacheOptions, Quantize, StageOptions } from "../pipeline/messages.ts";
import { type LayerRange, MOST_AHEAD } from "../pipeline/steps.ts";

/** Bytes that some layers take on a device. What a backend needs besides for its plans is not among them. */
export interface StageSize extends StateBytes {
  /** As they are held. */
  readonly weightBytes: number;
  /** What a step writes and reads again. */
  readonly activationBytes: number;
}

/** Snapshots that so many stages keep for sequences that go on in chains ({@linkcode Step.draws}): one of each, or two where chains follow each other. */
export function snapshotsFor(slots: number, stages: number, chainsFollow: boolean): number {
  return stages === 1 ? (chainsFollow ? 2 : 1) * Math.min(slots, MOST_AHEAD) : 0;
}

/** Steps before the last whose logits stages keep: where they are on several devices, all that may have begun since. */
export const keptLogits = (devices: number, stages: number): number => devices === 1 ? 0 : stages - 1;

/** Snapshots of a prefix cache at most; each takes its device's memory from the start. */
const MOST_CACHED = 64;

/**
 * What a prefix cache of so many bytes of the devices' memory, on all stages together, has room for, and of so many of the host's behind
 * it: half of them for states, half for keys and values.
 */
export function prefixCacheRoom(
  config: ModelConfig,
  { context, kvCache }: Pick<StageOptions, "context" | "kvCache">,
  bytes: number,
  hostBytes = 0,
): PrefixCacheOptions {
  const alignment = pageSize(context);
  const layers = { start: 0, end: config.layers };
  const one = stateBytes(config, { layers, kvCache, slots: 1, context: alignment });
  const [stateSize, pageBytes] = [one.stateBytes, one.cacheBytes];
  const roomOf = (bytes: number, most: number) => {
    const states = Math.min(most, Math.floor(bytes / 2 / Math.max(1, stateSize)));
    const pages = Math.floor((bytes - states * stateSize) / Math.max(1, pageBytes));
    return { states, pages: Math.min(pages, states * Math.ceil(context / alignment)) };
  };
  const device = roomOf(bytes, MOST_CACHED);
  const room = { alignment, snapshots: device.states, pages: device.pages, stateBytes: stateSize, pageBytes };
  return hostBytes > 0 ? { ...room, host: roomOf(hostBytes, Infinity) } : room;
}

/** The size of some layers with weights of so many bytes. */
export function stageSize(
  config: ModelConfig,
  options: Pick<StageOptions, "layers" | "kvCache" | "slots" | "context" | "maxRows" | "keptLogits" | "snapshots">,
  weightBytes: number,
): StageSize {
  const { layers } = options;
  return {
    weightBytes,
    ...stateBytes(config, options),
    activationBytes: activationBytes(config, options, layers.end === config.layers),
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

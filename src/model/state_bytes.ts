/** What sequences take besides weights: linear states of one size, and caches that grow with them. */
import { isSoftmaxLayer, type ModelConfig } from "./config.ts";
import { cacheBytes } from "./kv_cache.ts";
import { linearStateBytes } from "./linear_attention.ts";
import type { ModelOptions } from "./parts.ts";

/** Bytes that sequences take besides weights. */
export interface StateBytes {
  /** Linear states, whatever the context. */
  readonly stateBytes: number;
  /** Keys and values, if every slot is full; they are taken as sequences grow. */
  readonly cacheBytes: number;
}

/** Of some layers. */
export function stateBytes(
  config: ModelConfig,
  { layers: { start, end }, kvCache, slots, context, snapshots = 0 }: Pick<
    ModelOptions,
    "layers" | "kvCache" | "slots" | "context" | "snapshots"
  >,
): StateBytes {
  const softmax =
    Array.from({ length: end - start }, (_, i) => isSoftmaxLayer(config, start + i)).filter(Boolean).length;
  return {
    stateBytes: (end - start - softmax) * linearStateBytes(config, slots + snapshots),
    cacheBytes: softmax * cacheBytes(config, kvCache, slots * context),
  };
}

/** Softmax attention of one layer (spec c.8): fused projection, causal attention over the KV cache, output projection. */
import type { CacheBlock, Heads, Linear, Norm, Ops } from "../backend/backend.ts";
import type { Tensor } from "../backend/tensor.ts";
import type { Activations } from "./activations.ts";
import type { Weights } from "./weights.ts";

/** What a layer needs besides its weights. */
export interface AttentionOptions {
  /** [context, 2, R / 2] */
  readonly rope: Tensor;
}

/** One softmax layer's weights. */
export interface SoftmaxAttention {
  readonly inputNorm: Norm;
  readonly queryKeyValue: Linear;
  readonly dense: Linear;
  readonly heads: Heads;
}

/** Norms of query and key heads, where the model has them. */
export async function loadHeadNorms(
  loader: Weights,
  prefix: string,
): Promise<Pick<Heads, "queryNorm" | "keyNorm">> {
  if (!loader.config.qkNorm) return { queryNorm: null, keyNorm: null };
  return {
    queryNorm: await loader.norm(`${prefix}.query_layernorm.weight`),
    keyNorm: await loader.norm(`${prefix}.key_layernorm.weight`),
  };
}

/** Loads layer `layer`. */
export async function loadSoftmaxAttention(
  loader: Weights,
  layer: number,
  { rope }: AttentionOptions,
): Promise<SoftmaxAttention> {
  const { config } = loader;
  const { heads, kvHeads, headDim } = config;
  const prefix = `model.layers.${layer}.attention`;
  return {
    inputNorm: await loader.norm(`model.layers.${layer}.input_layernorm.weight`),
    queryKeyValue: await loader.linear(`${prefix}.query_key_value`, config.qkvBias),
    dense: await loader.linear(`${prefix}.dense`, config.denseBias),
    heads: { heads, kvHeads, headDim, silu: false, ...await loadHeadNorms(loader, prefix), rope },
  };
}

/** hidden += dense(attention(hidden)) */
export function recordSoftmaxAttention(
  ops: Ops,
  layer: SoftmaxAttention,
  cache: readonly CacheBlock[],
  activations: Activations,
): void {
  const { hidden, softmaxQkv, mixed } = activations;
  ops.project([softmaxQkv], hidden, layer.inputNorm, [layer.queryKeyValue]);
  ops.softmaxAttention(mixed, softmaxQkv, cache, layer.heads);
  ops.projectAdd(hidden, mixed, layer.dense);
}

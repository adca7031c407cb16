/** What one stage's model consists of: its layers, embedding and head, and the caches that they share. */
import type { CacheBlock, Norm, Ops } from "../backend/backend.ts";
import type { Tensor, Weight } from "../backend/tensor.ts";
import type { DecayConvention, KvCacheType, Quantize } from "../pipeline/messages.ts";
import type { LayerRange } from "../pipeline/steps.ts";
import type { Activations } from "./activations.ts";
import { loadSoftmaxAttention, recordSoftmaxAttention, type SoftmaxAttention } from "./attention.ts";
import { isSoftmaxLayer } from "./config.ts";
import { KvCache } from "./kv_cache.ts";
import { type LinearAttention, loadLinearAttention, recordLinearAttention } from "./linear_attention.ts";
import { loadMlp, type Mlp } from "./moe.ts";
import { RopeTable } from "./rope_table.ts";
import type { Weights } from "./weights.ts";

export interface ModelOptions {
  readonly layers: LayerRange;
  readonly decay: DecayConvention;
  readonly quantize: Quantize;
  readonly kvCache: KvCacheType;
  /** Sequences in flight. */
  readonly slots: number;
  /** Positions of a slot. */
  readonly context: number;
  /** Most rows of a step. */
  readonly maxRows: number;
  /** Steps before the last whose logits are kept; 0 if left out. */
  readonly keptLogits?: number;
  /** Linear states that may be kept besides; 0 if left out. */
  readonly snapshots?: number;
  /** Pages of keys and values at most; as many as full slots have if left out. */
  readonly pages?: number;
}

/** One layer. */
export interface Layer {
  readonly record: (ops: Ops, activations: Activations) => void;
  /** Of a linear layer. */
  readonly states: Tensor | null;
  readonly mlp: Mlp;
}

/** The final norm and the map to logits. */
export interface Head {
  readonly norm: Norm;
  readonly map: Weight;
}

/** All of a stage. */
export interface Parts {
  /** Only on the first stage. */
  readonly embedding: Weight | null;
  readonly layers: readonly Layer[];
  /** Only on the last stage. */
  readonly head: Head | null;
  readonly rope: RopeTable;
  readonly cache: KvCache;
}

const EMBEDDING = "model.word_embeddings.weight";

/** Loads the parts of one stage, and makes its states and caches. */
export async function loadParts(loader: Weights, options: ModelOptions): Promise<Parts> {
  const { config, backend } = loader;
  const { start, end } = options.layers;
  const rope = new RopeTable(backend, config, options.context);
  const cache = await KvCache.create(backend, config, options);
  const [first, last] = [start === 0, end === config.layers];
  const embedding = first || (last && config.tied) ? await loader.matrix(EMBEDDING) : null;
  const layers: Layer[] = [];
  for (let i = start; i < end; i++) layers.push(await loadLayer(loader, i, { ...options, rope: rope.tensor }, cache));
  const head = last ? await loadHead(loader, embedding) : null;
  return { embedding: first ? embedding : null, layers, head, rope, cache };
}

async function loadLayer(
  loader: Weights,
  layer: number,
  options: ModelOptions & { readonly rope: Tensor },
  cache: KvCache,
): Promise<Layer> {
  const attention = isSoftmaxLayer(loader.config, layer)
    ? softmax(await loadSoftmaxAttention(loader, layer, options), () => cache.blocks(layer))
    : linear(await loadLinearAttention(loader, layer, options));
  return { ...attention, mlp: await loadMlp(loader, layer) };
}

const softmax = (layer: SoftmaxAttention, blocks: () => readonly CacheBlock[]): Omit<Layer, "mlp"> => ({
  record: (ops, activations) => recordSoftmaxAttention(ops, layer, blocks(), activations),
  states: null,
});

const linear = (layer: LinearAttention): Omit<Layer, "mlp"> => ({
  record: (ops, activations) => recordLinearAttention(ops, layer, activations),
  states: layer.states,
});

async function loadHead(loader: Weights, embedding: Weight | null): Promise<Head> {
  const norm = await loader.norm("model.norm.weight");
  return { norm, map: loader.config.tied ? embedding! : await loader.matrix("lm_head.weight") };
}

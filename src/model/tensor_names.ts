/** The tensors of a checkpoint that a model, or some layers of it, is made of (spec b). */
import type { LayerRange } from "../pipeline/steps.ts";
import { isMoeLayer, isSoftmaxLayer, type ModelConfig } from "./config.ts";

/** Name and shape of a tensor as the checkpoint stores it, row-major. */
export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

const EMBEDDING = "model.word_embeddings.weight";
const HEAD = "lm_head.weight";
const NORM = "model.norm.weight";

/** The tensors of layers `[start, end)`, all by default: the first layer brings the embedding, the last one norm and head. */
export function* expectedTensors(
  config: ModelConfig,
  { start, end }: LayerRange = { start: 0, end: config.layers },
): Generator<NamedShape> {
  const { vocab, hidden, layers, tied } = config;
  const first = start === 0;
  const last = end === layers;
  if (first || (last && tied)) yield { name: EMBEDDING, shape: [vocab, hidden] };
  for (let layer = start; layer < end; layer++) {
    const prefix = `model.layers.${layer}`;
    yield { name: `${prefix}.input_layernorm.weight`, shape: [hidden] };
    yield* attention(config, layer, `${prefix}.attention`);
    yield { name: `${prefix}.post_attention_layernorm.weight`, shape: [hidden] };
    yield* isMoeLayer(config, layer)
      ? experts(config, `${prefix}.mlp`)
      : mlp(`${prefix}.mlp`, hidden, config.intermediate);
  }
  if (last) yield { name: NORM, shape: [hidden] };
  if (last && !tied) yield { name: HEAD, shape: [vocab, hidden] };
}

function* attention(config: ModelConfig, layer: number, prefix: string): Generator<NamedShape> {
  const { hidden, heads, headDim } = config;
  const softmax = isSoftmaxLayer(config, layer);
  const rows = (heads + 2 * (softmax ? config.kvHeads : heads)) * headDim; // all Q, all K, all V
  const channels = heads * headDim;
  yield { name: `${prefix}.query_key_value.weight`, shape: [rows, hidden] };
  if (config.qkvBias) yield { name: `${prefix}.query_key_value.bias`, shape: [rows] };
  if (config.qkNorm) {
    yield { name: `${prefix}.query_layernorm.weight`, shape: [headDim] };
    yield { name: `${prefix}.key_layernorm.weight`, shape: [headDim] };
  }
  if (!softmax) {
    yield { name: `${prefix}.g_proj.weight`, shape: [channels, hidden] };
    yield { name: `${prefix}.g_norm.weight`, shape: [channels] };
  }
  yield { name: `${prefix}.dense.weight`, shape: [hidden, channels] };
  if (config.denseBias) yield { name: `${prefix}.dense.bias`, shape: [hidden] };
}

function* experts(config: ModelConfig, prefix: string): Generator<NamedShape> {
  const { hidden } = config;
  yield { name: `${prefix}.gate.weight`, shape: [config.experts, hidden] };
  if (config.expertBias) yield { name: `${prefix}.gate.expert_bias`, shape: [config.experts] };
  for (let expert = 0; expert < config.experts; expert++) {
    yield* mlp(`${prefix}.experts.${expert}`, hidden, config.moeIntermediate);
  }
  if (config.sharedExperts > 0) yield* mlp(`${prefix}.shared_experts`, hidden, config.sharedIntermediate);
}

function* mlp(prefix: string, hidden: number, width: number): Generator<NamedShape> {
  yield { name: `${prefix}.gate_proj.weight`, shape: [width, hidden] };
  yield { name: `${prefix}.up_proj.weight`, shape: [width, hidden] };
  yield { name: `${prefix}.down_proj.weight`, shape: [hidden, width] };
}

/**
 * Whether a tensor is known and of no use: next-token-prediction layers, which follow the model's own, buffers that some
 * exporters write, and the head where the embedding serves as one.
 */
export function isIgnoredTensor({ layers, tied }: ModelConfig, name: string): boolean {
  const layer = /^model\.layers\.(\d+)\./.exec(name)?.[1];
  return name.startsWith("model.mtp") || (layer !== undefined && Number(layer) >= layers) ||
    ["inv_freq", "v_head", "slope"].some((part) => name.includes(part)) || (tied && name === HEAD);
}

/** Whether layers `[start, end)` need a tensor, its scales among them. What is not known by its name, all need. */
export function isNeededBy({ start, end }: LayerRange, { layers, tied }: ModelConfig, name: string): boolean {
  const layer = /^model\.layers\.(\d+)\./.exec(name)?.[1];
  if (layer !== undefined) return start <= Number(layer) && Number(layer) < end;
  const first = start === 0 && end > 0;
  const last = end === layers;
  const isOf = (other: string) => name.startsWith(other.replace(/weight$/, ""));
  if (isOf(EMBEDDING)) return first || (last && tied);
  return last || !(isOf(HEAD) || isOf(NORM));
}

/** Linear attention of one layer (spec c.5 to c.7): fused projection and gate, decaying state, group norm, output projection. */
import type { Linear, LinearAttention as How, Norm, Ops } from "../backend/backend.ts";
import type { Tensor } from "../backend/tensor.ts";
import type { DecayConvention } from "../pipeline/messages.ts";
import type { Activations } from "./activations.ts";
import { type AttentionOptions, loadHeadNorms } from "./attention.ts";
import type { ModelConfig } from "./config.ts";
import { logDecay } from "./decay.ts";
import type { Weights } from "./weights.ts";

/** One linear layer's weights and state. */
export interface LinearAttention {
  readonly inputNorm: Norm;
  readonly queryKeyValue: Linear;
  readonly gate: Linear;
  readonly dense: Linear;
  readonly how: How;
  /** [slots, heads, D(k), D(v)] */
  readonly state: Tensor;
  /** [snapshots, heads, D(k), D(v)]; null where none are kept */
  readonly snapshots: Tensor | null;
}

interface LinearOptions {
  readonly slots: number;
  readonly decay: DecayConvention;
  readonly snapshots?: number;
}

/** Loads layer `layer` and makes its state, and room for snapshots of it. */
export async function loadLinearAttention(
  loader: Weights,
  layer: number,
  { slots, snapshots = 0, rope, decay }: AttentionOptions & LinearOptions,
): Promise<LinearAttention> {
  const { config, backend } = loader;
  const { heads, headDim } = config;
  const prefix = `model.layers.${layer}.attention`;
  const states = (label: string, count: number) =>
    backend.tensor(`${label} of layer ${layer}`, "f32", [count, heads, headDim, headDim]);
  return {
    inputNorm: await loader.norm(`model.layers.${layer}.input_layernorm.weight`),
    queryKeyValue: await loader.linear(`${prefix}.query_key_value`, config.qkvBias),
    gate: await loader.linear(`${prefix}.g_proj`, false),
    dense: await loader.linear(`${prefix}.dense`, config.denseBias),
    how: {
      heads,
      kvHeads: heads,
      headDim,
      silu: config.linearSilu,
      ...await loadHeadNorms(loader, prefix),
      rope: config.linearRope ? rope : null,
      logDecay: [...logDecay(config, layer, decay)],
      groupNorm: await loader.norm(`${prefix}.g_norm.weight`),
      groups: config.groupNorm,
    },
    state: states("state", slots),
    snapshots: snapshots > 0 ? states("snapshots", snapshots) : null,
  };
}

/** hidden += dense(groupNorm(recurrence(hidden)) ⊙ sigmoid(gate(hidden))) */
export function recordLinearAttention(ops: Ops, layer: LinearAttention, activations: Activations): void {
  const { hidden, linearQkv, gate, mixed } = activations;
  ops.project([linearQkv, gate], hidden, layer.inputNorm, [layer.queryKeyValue, layer.gate]);
  ops.linearAttention(mixed, linearQkv, gate, layer.state, layer.how);
  ops.projectAdd(hidden, mixed, layer.dense);
}

/** Bytes of so many states of one layer. */
export function linearStateBytes({ heads, headDim }: ModelConfig, count: number): number {
  return 4 * count * heads * headDim * headDim;
}

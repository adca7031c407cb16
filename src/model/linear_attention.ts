/** Linear attention of one layer (spec c.5 to c.7): fused projection and gate, decaying state, group norm, output projection. */
import {
  type Backend,
  type Linear,
  type LinearAttention as How,
  MOST_PLACES,
  type Norm,
  type Ops,
} from "../backend/backend.ts";
import { byteLength, type Tensor } from "../backend/tensor.ts";
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
  /** [slots + snapshots, heads, D(k), D(v)], of whom is for {@linkcode States} to say */
  readonly states: Tensor;
}

interface LinearOptions {
  readonly slots: number;
  readonly decay: DecayConvention;
  readonly snapshots?: number;
}

/**
 * Loads layer `layer` and makes its states, with room for snapshots.
 * @throws {RangeError} if there are more than the device holds in one piece
 */
export async function loadLinearAttention(
  loader: Weights,
  layer: number,
  { slots, snapshots = 0, rope, decay }: AttentionOptions & LinearOptions,
): Promise<LinearAttention> {
  const { config, backend } = loader;
  const { heads, headDim } = config;
  const prefix = `model.layers.${layer}.attention`;
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
    states: makeStates(backend, `states of layer ${layer}`, [slots + snapshots, heads, headDim, headDim]),
  };
}

function makeStates(
  backend: Pick<Backend, "device" | "pieceBytes" | "tensor">,
  label: string,
  shape: readonly [count: number, heads: number, D: number, D: number],
): Tensor {
  const most = Math.min(
    MOST_PLACES,
    Math.floor(backend.pieceBytes / byteLength({ label, dtype: "f32", shape }) * shape[0]),
  );
  if (shape[0] <= most) return backend.tensor(label, "f32", shape);
  throw new RangeError(
    `Cannot hold ${shape[0]} linear states of a layer: ${backend.device} binds at most ${most} of them; ` +
      "use fewer --max-sequences or a smaller --prefix-cache",
  );
}

/** hidden += dense(groupNorm(recurrence(hidden)) ⊙ sigmoid(gate(hidden))) */
export function recordLinearAttention(ops: Ops, layer: LinearAttention, activations: Activations): void {
  const { hidden, linearQkv, gate, mixed } = activations;
  ops.project([linearQkv, gate], hidden, layer.inputNorm, [layer.queryKeyValue, layer.gate]);
  ops.linearAttention(mixed, linearQkv, gate, layer.states, layer.how);
  ops.projectAdd(hidden, mixed, layer.dense);
}

/** Bytes of so many states of one layer. */
export function linearStateBytes({ heads, headDim }: ModelConfig, count: number): number {
  return 4 * count * heads * headDim * headDim;
}

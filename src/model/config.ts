/** What a model is: the sizes and switches of its config.json, checked and in our names. */
import type { z } from "zod";
import { checkFit } from "./config_fit.ts";
import { architectureSchema, complaint, configSchema, readFields, shown } from "./config_schema.ts";
import { type RopeScaling, stretchedContext, YARN_BETAS, yarnAttention } from "./rope.ts";

/** Letters in brackets are the specification's. */
export interface ModelConfig {
  /** Whether layers are mixed (`BailingMoeLinearV2`) or softmax attention all (`BailingMoeV2`). */
  readonly architecture: "linear" | "softmax";
  /** Rows of the embedding and of the head [V]; the tokenizer may know fewer. */
  readonly vocab: number;
  /** [H] */
  readonly hidden: number;
  /** [L], without next-token-prediction layers. */
  readonly layers: number;
  /** Query heads [N], and all heads of linear layers. */
  readonly heads: number;
  /** Key and value heads of softmax layers [Nk]. */
  readonly kvHeads: number;
  /** [D] */
  readonly headDim: number;
  /** Width of the dense MLP. */
  readonly intermediate: number;
  /** Layers in a group, the last of them softmax. */
  readonly layerGroupSize: number;
  /** Number of groups of the linear layers' output norm. */
  readonly groupNorm: number;
  /** Routed experts of a layer [E]; 0 makes every MLP dense. */
  readonly experts: number;
  /** [K] */
  readonly expertsPerToken: number;
  readonly sharedExperts: number;
  /** Width of a routed expert [I]. */
  readonly moeIntermediate: number;
  /** Width of all shared experts together. */
  readonly sharedIntermediate: number;
  /** Layers below this number have a dense MLP. */
  readonly firstDense: number;
  /** Expert groups [G], and how many a token keeps [Gk]. */
  readonly groups: number;
  readonly groupsKept: number;
  readonly scoreFunction: "sigmoid" | "softmax";
  /** Whether the chosen experts' weights are made to sum to 1 before `routedScale`. */
  readonly normTopK: boolean;
  readonly routedScale: number;
  /** Whether a bias takes part in the choice of experts. */
  readonly expertBias: boolean;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  /** Leading channels of a head that rotate [R], even. */
  readonly rotaryDim: number;
  readonly ropeScaling: RopeScaling;
  /** Whether linear layers rotate too. */
  readonly linearRope: boolean;
  readonly qkNorm: boolean;
  /** Whether SiLU is applied to the fused QKV of linear layers. */
  readonly linearSilu: boolean;
  /** Whether the head is the embedding. */
  readonly tied: boolean;
  readonly qkvBias: boolean;
  readonly denseBias: boolean;
  /** Context, RoPE scaling included. */
  readonly maxPositions: number;
  readonly eosTokenIds: readonly number[];
  /** Rows and columns of a block of weights with one scale: F8_E4M3's, or mlx's groups. */
  readonly weightBlock: readonly [rows: number, columns: number];
}

const ARCHITECTURES: ReadonlyMap<string, ModelConfig["architecture"]> = new Map([
  ["BailingMoeLinearV2ForCausalLM", "linear"],
  ["BailingMoeV2ForCausalLM", "softmax"],
]);

/** The vendor's converter's (spec d.1). */
const DEFAULT_BLOCK = [128, 128] as const;

type Fields = z.infer<typeof configSchema>;

/**
 * Reads the JSON of a config.json. Fields that are not known are ignored.
 * @throws {TypeError} for a field that is missing or of another type
 * @throws {RangeError} for a value out of bounds, fields that do not fit each other, or an unknown architecture
 */
export function parseConfig(json: unknown): ModelConfig {
  const architecture = architectureOf(readFields(architectureSchema, json, "config.json").architectures);
  const fields = readFields(configSchema, json, "config.json");
  const ropeScaling = ropeScalingOf(fields);
  const headDim = fields.head_dim ?? fields.hidden_size / fields.num_attention_heads;
  const moeIntermediate = fields.num_experts === 0 ? 0 : required(fields, "moe_intermediate_size");
  const sharedExperts = fields.moe_router_enable_shared_expert ? fields.num_shared_experts : 0;
  const trained = fields.max_position_embeddings;
  const config: ModelConfig = {
    architecture,
    vocab: fields.vocab_size,
    hidden: fields.hidden_size,
    layers: fields.num_hidden_layers,
    heads: fields.num_attention_heads,
    kvHeads: fields.num_key_value_heads ?? fields.num_attention_heads,
    headDim,
    intermediate: fields.intermediate_size,
    layerGroupSize: architecture === "softmax" ? 1 : required(fields, "layer_group_size"),
    groupNorm: fields.group_norm_size,
    experts: fields.num_experts,
    expertsPerToken: fields.num_experts_per_tok,
    sharedExperts,
    moeIntermediate,
    sharedIntermediate: (fields.moe_shared_expert_intermediate_size ?? moeIntermediate) * sharedExperts,
    firstDense: fields.first_k_dense_replace,
    groups: fields.n_group,
    groupsKept: fields.topk_group,
    scoreFunction: fields.score_function,
    normTopK: fields.norm_topk_prob,
    routedScale: fields.moe_router_enable_routed_scaling ? fields.routed_scaling_factor : 1,
    expertBias: fields.moe_router_enable_expert_bias,
    rmsNormEps: fields.rms_norm_eps,
    ropeTheta: fields.rope_theta,
    rotaryDim: fields.rotary_dim ?? Math.floor(headDim * fields.partial_rotary_factor),
    ropeScaling,
    linearRope: fields.linear_rope,
    qkNorm: fields.use_qk_norm,
    linearSilu: fields.use_linear_silu ?? fields.linear_silu,
    tied: fields.tie_word_embeddings,
    qkvBias: fields.use_qkv_bias || fields.use_bias,
    denseBias: fields.use_bias,
    maxPositions: ropeScaling.type === "yarn" ? Math.max(trained, stretchedContext(ropeScaling)) : trained,
    eosTokenIds: fields.eos_token_id,
    weightBlock: weightBlockOf(fields),
  };
  checkFit(config);
  return config;
}

/** Softmax attention: the last layer of a group, and all of an incomplete last group (spec c.1). */
export function isSoftmaxLayer({ layers, layerGroupSize }: ModelConfig, layer: number): boolean {
  return (layer + 1) % layerGroupSize === 0 || layer >= layers - layers % layerGroupSize;
}

export function isMoeLayer({ experts, firstDense }: ModelConfig, layer: number): boolean {
  return experts > 0 && layer >= firstDense;
}

function weightBlockOf({ quantization_config: quantization }: Fields): ModelConfig["weightBlock"] {
  const { quant_method = null, weight_block_size = null, group_size = null } = quantization ?? {};
  const mlx = quant_method === null && group_size !== null;
  return weight_block_size ?? (mlx ? [1, group_size] : DEFAULT_BLOCK);
}

function architectureOf(names: readonly string[]): ModelConfig["architecture"] {
  for (const name of names) {
    const architecture = ARCHITECTURES.get(name);
    if (architecture) return architecture;
  }
  const known = [...ARCHITECTURES.keys()].join(", ");
  throw new RangeError(complaint(`"architectures" is ${shown(names)}, and the known ones are ${known}`));
}

function required(fields: Fields, name: "layer_group_size" | "moe_intermediate_size"): number {
  const value = fields[name];
  if (value === null) throw new TypeError(complaint(`"${name}" is missing, and must be a whole number above 0`));
  return value;
}

function ropeScalingOf({ rope_scaling: fields, max_position_embeddings: positions }: Fields): RopeScaling {
  const type = fields?.rope_type ?? fields?.type ?? "default";
  if (fields === null || type === "default") return { type: "none" };
  if (type !== "linear" && type !== "yarn") {
    throw new RangeError(complaint(`"rope_scaling.type" is ${shown(type)}, and must be "linear" or "yarn"`));
  }
  const { factor, mscale, mscale_all_dim: mscaleAll } = fields;
  if (factor === null) throw new TypeError(complaint('"rope_scaling.factor" is missing, and must be a number above 0'));
  if (type === "linear") return { type, factor };
  const ratio = mscale !== null && mscaleAll !== null
    ? yarnAttention(factor, mscale) / yarnAttention(factor, mscaleAll)
    : null;
  return {
    type,
    factor,
    original: fields.original_max_position_embeddings ?? positions,
    betaFast: fields.beta_fast ?? YARN_BETAS.betaFast,
    betaSlow: fields.beta_slow ?? YARN_BETAS.betaSlow,
    attention: fields.attention_factor ?? ratio ?? yarnAttention(factor) * fields.attn_factor,
  };
}

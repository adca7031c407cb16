/** Configurations for tests: those of the released models, field for field, and their softmax siblings. */
import { type ModelConfig, parseConfig } from "../../src/model/config.ts";

/** Ring-mini-linear-2.0 (spec a.1). */
export const MINI = {
  architectures: ["BailingMoeLinearV2ForCausalLM"],
  attention_dropout: 0.0,
  auto_map: { AutoConfig: "configuration_bailing_moe_linear_v2.BailingMoeLinearV2Config" },
  embedding_dropout: 0.0,
  eos_token_id: 156892,
  first_k_dense_replace: 1,
  group_norm_size: 4,
  head_dim: 128,
  hidden_act: "silu",
  hidden_size: 2048,
  intermediate_size: 5120,
  layer_group_size: 5,
  linear_silu: false,
  max_position_embeddings: 131072,
  model_type: "bailing_moe_linear",
  moe_intermediate_size: 512,
  moe_router_enable_expert_bias: true,
  moe_shared_expert_intermediate_size: 512,
  n_group: 8,
  norm_topk_prob: true,
  num_attention_heads: 16,
  num_experts: 256,
  num_experts_per_tok: 8,
  num_hidden_layers: 20,
  num_key_value_heads: 4,
  num_nextn_predict_layers: 0,
  num_shared_experts: 1,
  output_dropout: 0.0,
  pad_token_id: 156892,
  partial_rotary_factor: 0.5,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1000000,
  routed_scaling_factor: 2.5,
  router_dtype: "fp32",
  score_function: "sigmoid",
  tie_word_embeddings: false,
  topk_group: 4,
  torch_dtype: "bfloat16",
  transformers_version: "4.56.1",
  use_bias: false,
  use_cache: true,
  use_qk_norm: true,
  use_qkv_bias: false,
  use_rmsnorm: true,
  vocab_size: 157184,
};

/** Ring-flash-linear-2.0 (spec a.2), with what is known of it. */
export const FLASH = {
  ...MINI,
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  intermediate_size: 9216,
  layer_group_size: 8,
  moe_intermediate_size: 1024,
  moe_shared_expert_intermediate_size: 1024,
};

/** Ling-mini-2.0 and Ring-mini-2.0, with a next-token-prediction layer as some siblings have (spec a.3, c.11). */
export const SOFTMAX_SIBLING = {
  ...MINI,
  ...{ layer_group_size: undefined, group_norm_size: undefined, linear_silu: undefined },
  architectures: ["BailingMoeV2ForCausalLM"],
  model_type: "bailing_moe",
  num_nextn_predict_layers: 1,
  mtp_loss_scaling_factor: 0,
  output_router_logits: false,
  use_sliding_window: false,
  sliding_window: 4096,
  rope_theta: 600000,
};

/** Mini's configuration with some fields changed. */
export function mini(changes: Record<string, unknown> = {}): ModelConfig {
  return parseConfig({ ...MINI, ...changes });
}

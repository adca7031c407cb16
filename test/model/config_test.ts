import assert from "node:assert/strict";
import { isMoeLayer, isSoftmaxLayer, type ModelConfig, parseConfig } from "../../src/model/config.ts";
import { FLASH, MINI, mini, SOFTMAX_SIBLING } from "./configs.ts";

function layersWhere(config: ModelConfig, is: (config: ModelConfig, layer: number) => boolean): number[] {
  return Array.from({ length: config.layers }, (_, layer) => layer).filter((layer) => is(config, layer));
}

Deno.test("parseConfig() reads Ring-mini-linear-2.0", () => {
  assert.deepEqual(parseConfig(MINI), {
    architecture: "linear",
    vocab: 157184,
    hidden: 2048,
    layers: 20,
    heads: 16,
    kvHeads: 4,
    headDim: 128,
    intermediate: 5120,
    layerGroupSize: 5,
    groupNorm: 4,
    experts: 256,
    expertsPerToken: 8,
    sharedExperts: 1,
    moeIntermediate: 512,
    sharedIntermediate: 512,
    firstDense: 1,
    groups: 8,
    groupsKept: 4,
    scoreFunction: "sigmoid",
    normTopK: true,
    routedScale: 2.5,
    expertBias: true,
    rmsNormEps: 1e-6,
    ropeTheta: 1000000,
    rotaryDim: 64,
    ropeScaling: { type: "none" },
    linearRope: true,
    qkNorm: true,
    linearSilu: false,
    tied: false,
    qkvBias: false,
    denseBias: false,
    maxPositions: 131072,
    eosTokenIds: [156892],
    weightBlock: [128, 128],
  });
});

Deno.test("parseConfig() reads Ring-flash-linear-2.0", () => {
  const config = parseConfig(FLASH);
  const { hidden, layers, heads, layerGroupSize, moeIntermediate } = config;
  assert.deepEqual([hidden, layers, heads, layerGroupSize, moeIntermediate], [4096, 32, 32, 8, 1024]);
  assert.deepEqual(layersWhere(config, isSoftmaxLayer), [7, 15, 23, 31]);
});

Deno.test("parseConfig() reads the softmax siblings: every layer softmax, prediction layers ignored", () => {
  const config = parseConfig(SOFTMAX_SIBLING);
  assert.equal(config.architecture, "softmax");
  assert.equal(config.layers, 20);
  assert.equal(config.ropeTheta, 600000);
  assert.equal(layersWhere(config, isSoftmaxLayer).length, 20);
});

Deno.test("isSoftmaxLayer() is the last layer of each group, and all of an incomplete last group", () => {
  assert.deepEqual(layersWhere(mini(), isSoftmaxLayer), [4, 9, 14, 19]);
  assert.deepEqual(layersWhere(mini({ num_hidden_layers: 7, layer_group_size: 3 }), isSoftmaxLayer), [2, 5, 6]);
  assert.deepEqual(layersWhere(mini({ num_hidden_layers: 3, layer_group_size: 4 }), isSoftmaxLayer), [0, 1, 2]);
});

Deno.test("isMoeLayer() begins after the dense layers, and never where there are no experts", () => {
  assert.equal(layersWhere(mini(), isMoeLayer)[0], 1);
  assert.equal(layersWhere(mini({ first_k_dense_replace: 3 }), isMoeLayer).length, 17);
  assert.deepEqual(layersWhere(mini({ num_experts: 0, moe_intermediate_size: null }), isMoeLayer), []);
});

const VARIATIONS: readonly (readonly [Record<string, unknown>, Partial<ModelConfig>])[] = [
  [{ num_key_value_heads: null, head_dim: null }, { kvHeads: 16, headDim: 128 }],
  [{ rotary_dim: 32 }, { rotaryDim: 32 }],
  [{ partial_rotary_factor: undefined }, { rotaryDim: 128 }],
  [{ linear_silu: true, use_linear_silu: false }, { linearSilu: false }],
  [{ use_linear_silu: true }, { linearSilu: true }],
  [{ linear_rope: false }, { linearRope: false }],
  [{ use_bias: true }, { qkvBias: true, denseBias: true }],
  [{ use_qkv_bias: true }, { qkvBias: true, denseBias: false }],
  [{ num_shared_experts: 2 }, { sharedExperts: 2, sharedIntermediate: 1024 }],
  [{ moe_shared_expert_intermediate_size: undefined }, { sharedIntermediate: 512 }],
  [{ moe_router_enable_shared_expert: false }, { sharedExperts: 0, sharedIntermediate: 0 }],
  [{ moe_router_enable_routed_scaling: false }, { routedScale: 1 }],
  [{ moe_router_enable_expert_bias: false }, { expertBias: false }],
  [{ n_group: null, topk_group: null }, { groups: 1, groupsKept: 1 }],
  [{ score_function: "softmax", norm_topk_prob: false }, { scoreFunction: "softmax", normTopK: false }],
  [{ eos_token_id: [1, 2] }, { eosTokenIds: [1, 2] }],
  [{ eos_token_id: null }, { eosTokenIds: [] }],
  [{ tie_word_embeddings: true }, { tied: true }],
  [{ quantization_config: { quant_method: "fp8", weight_block_size: [64, 32] } }, { weightBlock: [64, 32] }],
  [{ quantization_config: { quant_method: "compressed-tensors" } }, { weightBlock: [128, 128] }],
  [{ quantization_config: { quant_method: "ringlet", group_size: 32 } }, { weightBlock: [128, 128] }],
  [{ quantization_config: { group_size: 64, bits: 4, "model.x": { bits: 8 } } }, { weightBlock: [1, 64] }],
  [{ architectures: ["Wrapper", "BailingMoeV2ForCausalLM"] }, { architecture: "softmax" }],
  [{ rope_scaling: { rope_type: "default" } }, { ropeScaling: { type: "none" } }],
];

for (const [changes, expected] of VARIATIONS) {
  Deno.test(`parseConfig() takes ${JSON.stringify(changes)}`, () => {
    const config = mini(changes);
    for (const [field, value] of Object.entries(expected)) assert.deepEqual(config[field as keyof ModelConfig], value);
  });
}

const SIZE = "a whole number from 1 to 16777216";
const NUMBER = "a number above 0 and at most 1000000000000";
const KNOWN = "BailingMoeLinearV2ForCausalLM, BailingMoeV2ForCausalLM";

/** Changes of mini's config.json, the error's class, and its message after "Cannot use config.json as a model's configuration: ". */
const BAD: readonly (readonly [unknown, "TypeError" | "RangeError", string])[] = [
  [null, "TypeError", "it is null, and must be a JSON object"],
  [[], "TypeError", "it is [], and must be a JSON object"],
  [{ architectures: undefined }, "TypeError", '"architectures" is missing, and must be a list of names'],
  [{ architectures: "x" }, "TypeError", '"architectures" is "x", and must be a list of names'],
  [{ architectures: [] }, "RangeError", `"architectures" is [], and the known ones are ${KNOWN}`],
  [
    { architectures: ["LlamaForCausalLM"] },
    "RangeError",
    `"architectures" is ["LlamaForCausalLM"], and the known ones are ${KNOWN}`,
  ],
  [{ hidden_size: undefined }, "TypeError", `"hidden_size" is missing, and must be ${SIZE}`],
  [{ hidden_size: "2048" }, "TypeError", `"hidden_size" is "2048", and must be ${SIZE}`],
  [{ hidden_size: 2048.5 }, "TypeError", `"hidden_size" is 2048.5, and must be ${SIZE}`],
  [{ hidden_size: NaN }, "TypeError", `"hidden_size" is NaN, and must be ${SIZE}`],
  [{ hidden_size: 2 ** 40 }, "RangeError", `"hidden_size" is 1099511627776, and must be ${SIZE}`],
  [
    { hidden_size: 2050 },
    "RangeError",
    '"hidden_size" is 2050, and must be a multiple of 4, which weights are read in',
  ],
  [{ vocab_size: 0 }, "RangeError", `"vocab_size" is 0, and must be ${SIZE}`],
  [{ vocab_size: -1 }, "RangeError", `"vocab_size" is -1, and must be ${SIZE}`],
  [{ num_hidden_layers: 0 }, "RangeError", '"num_hidden_layers" is 0, and must be a whole number from 1 to 512'],
  [
    { num_hidden_layers: 1e9 },
    "RangeError",
    '"num_hidden_layers" is 1000000000, and must be a whole number from 1 to 512',
  ],
  [
    { num_attention_heads: 18 },
    "RangeError",
    '"num_attention_heads" is 18, and must be a multiple of num_key_value_heads (4)',
  ],
  [
    { num_key_value_heads: 3 },
    "RangeError",
    '"num_attention_heads" is 16, and must be a multiple of num_key_value_heads (3)',
  ],
  [
    { head_dim: null, hidden_size: 2040, num_attention_heads: 32 },
    "RangeError",
    '"head_dim" is 63.75, and must be given where hidden_size is no multiple of num_attention_heads',
  ],
  [
    { head_dim: 3, num_attention_heads: 2, num_key_value_heads: 2, rotary_dim: 2, group_norm_size: 1 },
    "RangeError",
    '"num_attention_heads · head_dim" is 6, and must be a multiple of 4, which weights are read in',
  ],
  [
    { rotary_dim: 63 },
    "RangeError",
    '"rotary_dim (or head_dim · partial_rotary_factor)" is 63, and must be even, and at most head_dim (128)',
  ],
  [
    { rotary_dim: 130 },
    "RangeError",
    '"rotary_dim (or head_dim · partial_rotary_factor)" is 130, and must be even, and at most head_dim (128)',
  ],
  [
    { partial_rotary_factor: 0.001 },
    "RangeError",
    '"rotary_dim (or head_dim · partial_rotary_factor)" is 0, and must be even, and at most head_dim (128)',
  ],
  [
    { intermediate_size: 5122 },
    "RangeError",
    '"intermediate_size" is 5122, and must be a multiple of 4, which weights are read in',
  ],
  [
    { moe_intermediate_size: 510 },
    "RangeError",
    '"moe_intermediate_size" is 510, and must be a multiple of 4, which weights are read in',
  ],
  [
    { moe_intermediate_size: undefined },
    "TypeError",
    '"moe_intermediate_size" is missing, and must be a whole number above 0',
  ],
  [
    { moe_shared_expert_intermediate_size: 511, num_shared_experts: 2 },
    "RangeError",
    '"moe_shared_expert_intermediate_size · num_shared_experts" is 1022, and must be a multiple of 4, which weights are read in',
  ],
  [{ layer_group_size: undefined }, "TypeError", '"layer_group_size" is missing, and must be a whole number above 0'],
  [{ layer_group_size: 0 }, "RangeError", `"layer_group_size" is 0, and must be ${SIZE}`],
  [{ group_norm_size: 3 }, "RangeError", '"group_norm_size" is 3, and must be a divisor of heads · head_dim (2048)'],
  [{ num_experts: 4096 }, "RangeError", '"num_experts" is 4096, and must be a whole number from 0 to 2048'],
  [{ num_experts: 252 }, "RangeError", '"num_experts" is 252, and must be a multiple of n_group (8)'],
  [{ n_group: 256 }, "RangeError", '"n_group" is 256, and must be at most half of num_experts (256)'],
  [{ topk_group: 9 }, "RangeError", '"topk_group" is 9, and must be at most n_group (8)'],
  [{ num_experts_per_tok: 0 }, "RangeError", `"num_experts_per_tok" is 0, and must be ${SIZE}`],
  [
    { num_experts_per_tok: 129 },
    "RangeError",
    '"num_experts_per_tok" is 129, and must be at most the 128 experts of 4 of 8 groups',
  ],
  [{ score_function: "tanh" }, "RangeError", '"score_function" is "tanh", and must be "sigmoid" or "softmax"'],
  [{ norm_topk_prob: 1 }, "TypeError", '"norm_topk_prob" is 1, and must be true or false'],
  [{ use_qk_norm: undefined }, "TypeError", '"use_qk_norm" is missing, and must be true or false'],
  [{ routed_scaling_factor: 0 }, "RangeError", `"routed_scaling_factor" is 0, and must be ${NUMBER}`],
  [{ rms_norm_eps: -1 }, "RangeError", `"rms_norm_eps" is -1, and must be ${NUMBER}`],
  [
    { rope_theta: undefined },
    "TypeError",
    '"rope_theta" is missing, and must be a number above 1 and at most 1000000000000',
  ],
  [{ rope_theta: 1 }, "RangeError", '"rope_theta" is 1, and must be a number above 1 and at most 1000000000000'],
  [
    { rope_theta: Infinity },
    "TypeError",
    '"rope_theta" is Infinity, and must be a number above 1 and at most 1000000000000',
  ],
  [{ hidden_act: "gelu" }, "RangeError", '"hidden_act" is "gelu", and must be "silu", the only kind that is supported'],
  [{ use_rmsnorm: false }, "RangeError", '"use_rmsnorm" is false, and must be true, the only kind that is supported'],
  [{ norm_head: true }, "RangeError", '"norm_head" is true, and must be false, the only kind that is supported'],
  [
    { use_sliding_window: true },
    "RangeError",
    '"use_sliding_window" is true, and must be false, the only kind that is supported',
  ],
  [
    { max_position_embeddings: 0 },
    "RangeError",
    '"max_position_embeddings" is 0, and must be a whole number from 1 to 2147483647',
  ],
  [{ eos_token_id: "x" }, "TypeError", '"eos_token_id" is "x", and must be a token id or a list of token ids'],
  [{ eos_token_id: [-1] }, "RangeError", '"eos_token_id.0" is -1, and must be a whole number from 0 to 16777216'],
  [{ rope_scaling: "yarn" }, "TypeError", '"rope_scaling" is "yarn", and must be an object or null'],
  [
    { rope_scaling: { type: "dynamic" } },
    "RangeError",
    '"rope_scaling.type" is "dynamic", and must be "linear" or "yarn"',
  ],
  [{ rope_scaling: { type: "yarn" } }, "TypeError", '"rope_scaling.factor" is missing, and must be a number above 0'],
  [{ rope_scaling: { type: "yarn", factor: 0 } }, "RangeError", `"rope_scaling.factor" is 0, and must be ${NUMBER}`],
  [
    { rope_scaling: { type: "yarn", factor: 1e6 } },
    "RangeError",
    '"rope_scaling.factor" is 131072000000, and must be small enough for 2^31 positions',
  ],
  [
    { quantization_config: { quant_method: "gptq" } },
    "RangeError",
    '"quantization_config.quant_method" is "gptq", and must be of a kind that can be read, "fp8", "compressed-tensors" or "ringlet"',
  ],
  [
    {
      quantization_config: {
        quant_method: "compressed-tensors",
        config_groups: { group_0: { weights: { type: "int", num_bits: 8 } } },
      },
    },
    "RangeError",
    '"quantization_config.config_groups.group_0.weights" is {"type":"int","num_bits":8,"symmetric":true}, and must be symmetric and of 4 bits where they are integers',
  ],
  [
    { quantization_config: { group_size: 64, bits: 4, mode: "mxfp4" } },
    "RangeError",
    '"quantization_config.mode" is "mxfp4", and must be "affine", the only kind that is supported',
  ],
  [
    { quantization_config: { quant_method: "fp8", weight_block_size: [0, 128] } },
    "RangeError",
    `"quantization_config.weight_block_size.0" is 0, and must be ${SIZE}`,
  ],
  [
    { quantization_config: { quant_method: "fp8", weight_block_size: [128] } },
    "RangeError",
    '"quantization_config.weight_block_size" is [128], and must be a pair of sizes',
  ],
];

for (const [changes, name, message] of BAD) {
  Deno.test(`parseConfig() refuses ${JSON.stringify(changes)}, since ${message}`, () => {
    const json = changes === null || Array.isArray(changes) ? changes : { ...MINI, ...changes as object };
    assert.throws(() => parseConfig(json), {
      name,
      message: `Cannot use config.json as a model's configuration: ${message}`,
    });
  });
}

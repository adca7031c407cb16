import assert from "node:assert/strict";
import { parseConfig } from "../../src/model/config.ts";
import { expectedTensors, isIgnoredTensor, type NamedShape } from "../../src/model/tensor_names.ts";
import { FLASH, mini, SOFTMAX_SIBLING } from "./configs.ts";

const elements = (tensors: readonly NamedShape[]) =>
  tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);

Deno.test("expectedTensors() lists the published counts of tensors and parameters (spec b, g)", () => {
  const tensors = [...expectedTensors(mini())];
  assert.equal(tensors.length, 14845);
  assert.equal(elements(tensors), 16_423_448_320);
  const flash = [...expectedTensors(parseConfig(FLASH))];
  assert.equal(flash.length, 24217);
  assert.equal(elements(flash), 104_181_665_536);
});

Deno.test("expectedTensors() of all stages together are those of the model, each once", () => {
  const all = [...expectedTensors(mini())];
  const stages = [[0, 7], [7, 19], [19, 20]].flatMap((
    [start, end],
  ) => [...expectedTensors(mini(), { start: start!, end: end! })]);
  assert.deepEqual(stages, all);
  assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
});

Deno.test("expectedTensors() gives a tied model's embedding to the first stage and the last, and no head", () => {
  const config = mini({ tie_word_embeddings: true });
  const embeddings = (start: number, end: number) =>
    [...expectedTensors(config, { start, end })].filter(({ shape }) => shape[0] === config.vocab).map(({ name }) =>
      name
    );
  assert.deepEqual(embeddings(0, 20), ["model.word_embeddings.weight"]);
  assert.deepEqual(embeddings(0, 10), ["model.word_embeddings.weight"]);
  assert.deepEqual(embeddings(5, 10), []);
  assert.deepEqual(embeddings(10, 20), ["model.word_embeddings.weight"]);
});

Deno.test("expectedTensors() names a linear, a softmax and a sibling's layer as the checkpoints do", () => {
  const names = (config: ReturnType<typeof mini>, layer: number) =>
    [...expectedTensors(config, { start: layer, end: layer + 1 })]
      .filter(({ name }) => !/\.experts\.([1-9]|\d\d)/.test(name))
      .map(({ name, shape }) => `${name.replace(`model.layers.${layer}.`, "")} ${shape}`);
  const experts = [
    "mlp.gate.weight 256,2048",
    "mlp.gate.expert_bias 256",
    "mlp.experts.0.gate_proj.weight 512,2048",
    "mlp.experts.0.up_proj.weight 512,2048",
    "mlp.experts.0.down_proj.weight 2048,512",
    "mlp.shared_experts.gate_proj.weight 512,2048",
    "mlp.shared_experts.up_proj.weight 512,2048",
    "mlp.shared_experts.down_proj.weight 2048,512",
  ];
  assert.deepEqual(names(mini(), 1), [
    "input_layernorm.weight 2048",
    "attention.query_key_value.weight 6144,2048",
    "attention.query_layernorm.weight 128",
    "attention.key_layernorm.weight 128",
    "attention.g_proj.weight 2048,2048",
    "attention.g_norm.weight 2048",
    "attention.dense.weight 2048,2048",
    "post_attention_layernorm.weight 2048",
    ...experts,
  ]);
  const softmax = [
    "input_layernorm.weight 2048",
    "attention.query_key_value.weight 3072,2048",
    "attention.query_layernorm.weight 128",
    "attention.key_layernorm.weight 128",
    "attention.dense.weight 2048,2048",
    "post_attention_layernorm.weight 2048",
    ...experts,
  ];
  assert.deepEqual(names(mini(), 4), softmax);
  assert.deepEqual(names(parseConfig(SOFTMAX_SIBLING), 1), softmax);
  const biased = names(mini({ use_bias: true, use_qk_norm: false }), 4);
  assert.deepEqual(biased.slice(1, 5), [
    "attention.query_key_value.weight 3072,2048",
    "attention.query_key_value.bias 3072",
    "attention.dense.weight 2048,2048",
    "attention.dense.bias 2048",
  ]);
});

Deno.test("isIgnoredTensor() knows prediction layers, exporters' buffers and a tied model's head", () => {
  const ignored = [
    "model.mtp.0.enorm.weight",
    "model.layers.20.eh_proj.weight",
    "model.layers.21.attention.dense.weight",
    "model.layers.3.attention.rotary_emb.inv_freq",
    "model.layers.3.attention.slope",
    "v_head.weight",
  ];
  for (const name of ignored) assert.equal(isIgnoredTensor(mini(), name), true, name);
  for (const name of ["model.layers.19.eh_proj.weight", "model.layers.2.x", "lm_head.weight", "x.model.layers.20.y"]) {
    assert.equal(isIgnoredTensor(mini(), name), false, name);
  }
  assert.equal(isIgnoredTensor(mini({ tie_word_embeddings: true }), "lm_head.weight"), true);
});

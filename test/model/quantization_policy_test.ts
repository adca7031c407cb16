import { strict as assert } from "node:assert";
import type { StoredWeight } from "../../src/formats/stored_weight.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import { heldBytes, heldType } from "../../src/model/quantization_policy.ts";
import { expectedTensors } from "../../src/model/tensor_names.ts";
import type { Quantize } from "../../src/pipeline/messages.ts";

const RING_NANO = new URL("../../models/ring-nano", import.meta.url).pathname;
const stored = (type: StoredWeight["type"], shape: readonly number[]): StoredWeight => ({ type, shape, entries: [] });

const MATRIX = "model.layers.1.attention.dense.weight";
const EXPERT = "model.layers.1.mlp.experts.0.up_proj.weight";
const ROUTER = "model.layers.1.mlp.gate.weight";

/** Type → the last parts of the names that are held in it. */
async function typesOf(quantize: Quantize): Promise<Record<string, string[]>> {
  const names: Record<string, Set<string>> = {};
  for (const { name, shape } of expectedTensors(await loadConfig(RING_NANO))) {
    const type = heldType(quantize, name, stored("BF16", shape));
    (names[type] ??= new Set()).add(name.replace(/^model\.(layers\.\d+\.)?/, "").replace(/experts\.\d+/, "experts.E"));
  }
  return Object.fromEntries(Object.entries(names).map(([type, set]) => [type, [...set].sort()]));
}

const NORMS = [
  ...["attention.g_norm.weight", "attention.key_layernorm.weight", "attention.query_layernorm.weight"],
  ...["input_layernorm.weight", "mlp.gate.expert_bias", "mlp.gate.weight", "norm.weight"],
  "post_attention_layernorm.weight",
];
const ROUTED = ["down", "gate", "up"].map((part) => `mlp.experts.E.${part}_proj.weight`);
const OTHERS = [
  ...["attention.dense.weight", "attention.g_proj.weight", "attention.query_key_value.weight", "lm_head.weight"],
  ...["mlp.down_proj.weight", "mlp.gate_proj.weight"],
  ...["down", "gate", "up"].map((part) => `mlp.shared_experts.${part}_proj.weight`),
  ...["mlp.up_proj.weight", "word_embeddings.weight"],
];

Deno.test("heldType() leaves norms, biases and routers alone, and gives 4 bits to routed experts only", async () => {
  assert.deepEqual(await typesOf("none"), { bf16: [...NORMS, ...ROUTED, ...OTHERS].sort() });
  assert.deepEqual(await typesOf("q8"), { bf16: NORMS, q8: [...ROUTED, ...OTHERS].sort() });
  assert.deepEqual(await typesOf("q4"), { bf16: NORMS, q4: ROUTED, q8: OTHERS });
});

Deno.test("heldType() never makes a matrix larger, nor groups of rows that have no whole ones", () => {
  assert.equal(heldType("q8", MATRIX, stored("F8_E4M3", [64, 64])), "f8_e4m3");
  assert.equal(heldType("q4", EXPERT, stored("F8_E4M3", [64, 64])), "q4");
  assert.equal(heldType("q8", EXPERT, stored("q4", [64, 64])), "q4");
  assert.equal(heldType("none", EXPERT, stored("q4", [64, 64])), "q4");
  assert.equal(heldType("q4", EXPERT, stored("q8", [64, 64])), "q4");
  assert.equal(heldType("q8", MATRIX, stored("F16", [64, 48])), "f16");
  assert.equal(heldType("q8", MATRIX, stored("F32", [3, 32])), "f32");
});

Deno.test("heldType() widens a router that is stored in groups", () => {
  assert.equal(heldType("q8", ROUTER, stored("q8", [64, 64])), "f32");
  assert.equal(heldType("q4", ROUTER, stored("BF16", [64, 64])), "bf16");
});

Deno.test("heldBytes() counts factors", () => {
  assert.deepEqual((["f32", "bf16", "q8", "q4"] as const).map((type) => heldBytes(type, 64)), [256, 128, 68, 40]);
});

/** The head of a GGUF file, read back by the format's rules, and the values for its tensors. */
import { strict as assert } from "node:assert";
import { ggufHead, ggufTensors, TYPES } from "../../bench/llama_cpp/gguf.ts";
import { RandomBlocks } from "../../bench/llama_cpp/random_blocks.ts";
import { parseConfig } from "../../src/model/config.ts";
import { loadConfigFile } from "../../src/model/load_config.ts";
import { expectedTensors } from "../../src/model/tensor_names.ts";
import { mini, SOFTMAX_SIBLING } from "../model/configs.ts";

const product = (shape: readonly number[]) => shape.reduce((all, size) => all * size, 1);
const sibling = (changes: Record<string, unknown> = {}) => parseConfig({ ...SOFTMAX_SIBLING, ...changes });

/** Reads little-endian values one after the other. */
class Reader {
  readonly #view: DataView;
  at = 0;

  constructor(readonly bytes: Uint8Array<ArrayBuffer>) {
    this.#view = new DataView(bytes.buffer);
  }

  u32(): number {
    return this.#view.getUint32((this.at += 4) - 4, true);
  }

  u64(): number {
    return Number(this.#view.getBigUint64((this.at += 8) - 8, true));
  }

  text(length = this.u64()): string {
    return new TextDecoder().decode(this.bytes.subarray(this.at, this.at += length));
  }

  value(): number | boolean | string {
    const type = this.u32();
    if (type === 4) return this.u32();
    if (type === 6) return this.#view.getFloat32((this.at += 4) - 4, true);
    if (type === 7) return this.bytes[this.at++] === 1;
    assert.equal(type, 8);
    return this.text();
  }

  tensor() {
    const name = this.text();
    const sizes = Array.from({ length: this.u32() }, () => this.u64());
    return { name, sizes, type: this.u32(), offset: this.u64() };
  }
}

function read(bytes: Uint8Array<ArrayBuffer>) {
  const reader = new Reader(bytes);
  assert.equal(reader.text(4), "GGUF");
  assert.equal(reader.u32(), 3);
  const [tensorCount, valueCount] = [reader.u64(), reader.u64()];
  const values = new Map(Array.from({ length: valueCount }, () => [reader.text(), reader.value()] as const));
  const tensors = Array.from({ length: tensorCount }, () => reader.tensor());
  return { values, tensors, rest: bytes.length - reader.at };
}

Deno.test("ggufHead() names a model's sizes and tensors, innermost size first, one after the other at multiples of 32", () => {
  const bytes = ggufHead(sibling({ vocab_size: 100, num_hidden_layers: 2, num_experts: 16 }), "none");
  const { values, tensors, rest } = read(bytes);
  assert.equal(values.get("general.architecture"), "bailingmoe2");
  assert.equal(values.get("bailingmoe2.expert_group_used_count"), 4);
  assert.equal(values.get("bailingmoe2.expert_weights_scale"), 2.5);
  assert.equal(values.get("bailingmoe2.expert_weights_norm"), true);
  assert.equal(values.get("bailingmoe2.rope.dimension_count"), 64);
  assert.ok(rest < 32 && bytes.length % 32 === 0);
  const down = tensors.find(({ name }) => name === "blk.1.ffn_down_exps.weight")!;
  assert.deepEqual([down.sizes, down.type], [[512, 2048, 16], 30]);
  const router = tensors.find(({ name }) => name === "blk.1.ffn_gate_inp.weight")!;
  assert.deepEqual([router.sizes, router.type], [[2048, 16], 0]);
  let end = 0;
  for (const { sizes, type, offset } of tensors) {
    assert.equal(offset, Math.ceil(end / 32) * 32);
    end = offset + product(sizes) * (type === 0 ? 4 : 2);
  }
});

Deno.test("ggufHead() puts routed experts in 4 bits and other matrices in 8, in blocks of 32", () => {
  const { tensors } = read(ggufHead(sibling({ vocab_size: 128, num_hidden_layers: 2, num_experts: 16 }), "q4"));
  const typeOf = (name: string) => tensors.find((tensor) => tensor.name === `${name}.weight`)!.type;
  assert.deepEqual(["blk.1.ffn_down_exps", "blk.1.ffn_down_shexp", "output"].map(typeOf), [2, 8, 8]);
  const types = new Map<number, typeof TYPES[keyof typeof TYPES]>(
    Object.values(TYPES).map((type) => [type.number, type]),
  );
  let end = 0;
  for (const { sizes, type, offset } of tensors) {
    assert.equal(offset, Math.ceil(end / 32) * 32);
    end = offset + product(sizes) / types.get(type)!.elements * types.get(type)!.bytes;
  }
});

Deno.test("ggufTensors() hold as many weights as our own model, in bench/ring-mini-2.0.json too", async () => {
  const file = await loadConfigFile(new URL("../../bench/ring-mini-2.0.json", import.meta.url).pathname);
  for (
    const config of [file, sibling({ first_k_dense_replace: 3 }), sibling({ num_experts: 32, num_shared_experts: 2 })]
  ) {
    const count = (tensors: Iterable<{ readonly shape: readonly number[] }>) =>
      [...tensors].reduce((sum, { shape }) => sum + product(shape), 0);
    assert.equal(count(ggufTensors(config, "none")), count(expectedTensors(config)));
  }
});

Deno.test("ggufHead() refuses a model with linear layers, without experts or with a tied head", () => {
  for (const config of [mini(), sibling({ num_experts: 0 }), sibling({ tie_word_embeddings: true })]) {
    assert.throws(() => ggufHead(config, "none"), /^RangeError: Cannot write this model as bailingmoe2, which has /);
  }
});

Deno.test("RandomBlocks give matrices of variance 1 / K, and no row twice", () => {
  const blocks = new RandomBlocks();
  const matrix = { name: "blk.0.attn_qkv.weight", shape: [4000, 2048], type: "BF16" } as const;
  const words = new Uint16Array(blocks.take(matrix).buffer);
  const values = new Float32Array(Uint32Array.from(words, (bits) => bits << 16).buffer);
  const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  assert.ok(Math.abs(variance * 2048 - 1) < 0.02, `K times the variance is ${variance * 2048}`);
  const rows = new Set(Array.from({ length: 4000 }, (_, row) => String(values.subarray(2048 * row, 2048 * row + 8))));
  assert.equal(rows.size, 4000);
});

Deno.test("RandomBlocks give norms near 1 and biases near 0, in f32", () => {
  const blocks = new RandomBlocks();
  const values = (name: string, size: number) =>
    new Float32Array(blocks.take({ name, shape: [size], type: "F32" }).buffer);
  const [norm, bias] = [values("output_norm.weight", 2048), values("blk.1.exp_probs_b.bias", 256)] as const;
  assert.ok(norm.length === 2048 && norm.every((value) => Math.abs(value - 1) <= 0.2001));
  assert.ok(bias.length === 256 && bias.every((value) => Math.abs(value) <= 0.01001));
});

Deno.test("RandomBlocks give groups of any codes behind a scale that makes them of variance 1 / K", () => {
  const blocks = new RandomBlocks();
  for (const [type, half] of [["Q8_0", 128], ["Q4_0", 8]] as const) {
    const shape = [64, 2048];
    const bytes = blocks.take({ name: "blk.0.attn_qkv.weight", shape, type });
    const view = new DataView(bytes.buffer);
    let squares = 0;
    for (let at = 0; at < bytes.length; at += TYPES[type].bytes) {
      const scale = view.getFloat16(at, true);
      for (let i = 0; i < 32; i++) {
        const code = type === "Q8_0"
          ? view.getInt8(at + 2 + i)
          : (view.getUint8(at + 2 + i % 16) >> 4 * (i >> 4) & 15) - half;
        squares += (code * scale) ** 2;
      }
    }
    const variance = squares / product(shape);
    assert.ok(Math.abs(variance * 2048 - 1) < 0.05, `K times the variance of ${type} is ${variance * 2048}`);
  }
});

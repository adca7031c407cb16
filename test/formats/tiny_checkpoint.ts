/** Writes safetensors files and small whole checkpoints for tests, the broken ones included. */
import { parseConfig } from "../../src/model/config.ts";
import { expectedTensors } from "../../src/model/tensor_names.ts";

export interface TinyTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** What a header says of a tensor; loose, so that tests can write nonsense. */
export type HeaderEntry = { dtype?: unknown; shape?: unknown; data_offsets?: unknown };

/** Tensors one after another, with the header that describes them; `change` may damage the header. */
export function safetensors(
  tensors: readonly TinyTensor[],
  change: (header: Record<string, HeaderEntry>) => unknown = (header) => header,
): Uint8Array<ArrayBuffer> {
  const header: Record<string, HeaderEntry> = { __metadata__: { format: "pt" } as HeaderEntry };
  let offset = 0;
  for (const { name, dtype, shape, data } of tensors) {
    header[name] = { dtype, shape: [...shape], data_offsets: [offset, offset += data.length] };
  }
  return withHeader(JSON.stringify(change(header) ?? header), tensors.map(({ data }) => data));
}

/** A file of that header text, its length before it and `parts` after it. */
export function withHeader(header: string | Uint8Array, parts: readonly Uint8Array[] = []): Uint8Array<ArrayBuffer> {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  return concat([prefix(BigInt(text.length)), text, ...parts]);
}

/** The length that a file begins with. */
export function prefix(length: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

export function f32(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** Two layers, linear and softmax, dense and MoE. */
export const TINY_CONFIG = {
  architectures: ["BailingMoeLinearV2ForCausalLM"],
  vocab_size: 12,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  layer_group_size: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 4,
  rotary_dim: 2,
  rope_theta: 10000,
  max_position_embeddings: 64,
  use_qk_norm: true,
  group_norm_size: 2,
  first_k_dense_replace: 1,
  num_experts: 4,
  num_experts_per_tok: 2,
  num_shared_experts: 1,
  moe_intermediate_size: 4,
  n_group: 2,
  topk_group: 1,
  routed_scaling_factor: 2.5,
  eos_token_id: 10,
};

const F8_NAME = "model.layers.1.attention.dense.weight";

/** The tensors of {@linkcode TINY_CONFIG}: BF16, an F32 bias, and one F8_E4M3 weight with its scale; every value is 1 or so. */
export function tinyTensors(): TinyTensor[] {
  return [...expectedTensors(parseConfig(TINY_CONFIG))].flatMap(({ name, shape }) => {
    const count = shape.reduce((product, size) => product * size, 1);
    if (name === F8_NAME) {
      return [
        { name, dtype: "F8_E4M3", shape, data: new Uint8Array(count).fill(0x38) },
        { name: `${name}_scale_inv`, dtype: "F32", shape: [1, 1], data: f32(0.5) },
      ];
    }
    if (name.endsWith("expert_bias")) return [{ name, dtype: "F32", shape, data: f32(...Array(count).fill(0.25)) }];
    return [{ name, dtype: "BF16", shape, data: new Uint8Array(new Uint16Array(count).fill(0x3f80).buffer) }];
  });
}

/** File name → content. */
export type Files = Record<string, string | Uint8Array>;

/** A whole checkpoint of {@linkcode TINY_CONFIG} in two shards. */
export function tinyCheckpoint(): Record<string, Uint8Array> {
  const tensors = tinyTensors();
  const half = tensors.length >> 1;
  const shards = {
    "model-00001-of-00002.safetensors": tensors.slice(0, half),
    "model-00002-of-00002.safetensors": tensors.slice(half),
  };
  const names = Object.entries(shards).flatMap(([shard, part]) => part.map(({ name }) => [name, shard]));
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  return {
    "config.json": json(TINY_CONFIG),
    "generation_config.json": json({ eos_token_id: [10, 11] }),
    "model.safetensors.index.json": json({ metadata: {}, weight_map: Object.fromEntries(names) }),
    ...Object.fromEntries(Object.entries(shards).map(([shard, part]) => [shard, safetensors(part)])),
  };
}

/** A folder of these files that goes away with its scope. */
export async function folderOf(files: Files): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "ringlet-checkpoint-" });
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${path}/${name}`, bytes);
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

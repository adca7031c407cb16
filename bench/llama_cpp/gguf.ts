/** The head of a GGUF file, llama.cpp's format, of a model by its configuration alone: metadata, and names and shapes of tensors. */
import { isMoeLayer, type ModelConfig } from "../../src/model/config.ts";

/** What llama.cpp calls models of this family whose layers are softmax attention all. */
const ARCHITECTURE = "bailingmoe2";

/** ggml's numbers of types, and what so many elements take: 32 of the last ones share a scale. */
export const TYPES = {
  F32: { number: 0, elements: 1, bytes: 4 },
  BF16: { number: 30, elements: 1, bytes: 2 },
  Q8_0: { number: 8, elements: 32, bytes: 34 },
  Q4_0: { number: 2, elements: 32, bytes: 18 },
} as const;

/** Which types matrices have, in our own words: all BF16, or all in 8 bits, or the routed experts in 4 bits and the others in 8. */
export type Quantize = "none" | "q8" | "q4";

const MATRIX_TYPES = { none: "BF16", q8: "Q8_0", q4: "Q8_0" } as const;
const EXPERT_TYPES = { none: "BF16", q8: "Q8_0", q4: "Q4_0" } as const;

export interface GgufTensor {
  readonly name: string;
  /** Row-major, as everywhere here; GGUF stores it the other way round. */
  readonly shape: readonly number[];
  readonly type: keyof typeof TYPES;
}

/** What a tensor takes. */
export function bytesOf({ shape, type }: GgufTensor): number {
  const { elements, bytes } = TYPES[type];
  return shape.reduce((product, size) => product * size, 1) / elements * bytes;
}

/** Matrices in the types that are asked for, or the released checkpoints' BF16; routers, norms and biases in F32. */
export function* ggufTensors(config: ModelConfig, quantize: Quantize): Generator<GgufTensor> {
  const { vocab, hidden, layers, heads, kvHeads, headDim } = config;
  const [type, expertType] = [MATRIX_TYPES[quantize], EXPERT_TYPES[quantize]];
  const matrix = (name: string, ...shape: number[]): GgufTensor => ({ name: `${name}.weight`, shape, type });
  const norm = (name: string, size: number): GgufTensor => ({ name: `${name}.weight`, shape: [size], type: "F32" });
  yield matrix("token_embd", vocab, hidden);
  for (let layer = 0; layer < layers; layer++) {
    const block = `blk.${layer}`;
    yield norm(`${block}.attn_norm`, hidden);
    yield matrix(`${block}.attn_qkv`, (heads + 2 * kvHeads) * headDim, hidden);
    yield norm(`${block}.attn_q_norm`, headDim);
    yield norm(`${block}.attn_k_norm`, headDim);
    yield matrix(`${block}.attn_output`, hidden, heads * headDim);
    yield norm(`${block}.ffn_norm`, hidden);
    if (isMoeLayer(config, layer)) yield* experts(config, block, type, expertType);
    else yield* mlp(block, type, "", [hidden, config.intermediate]);
  }
  yield norm("output_norm", hidden);
  yield matrix("output", vocab, hidden);
}

type Type = GgufTensor["type"];

function* experts(config: ModelConfig, block: string, type: Type, expertType: Type): Generator<GgufTensor> {
  const { experts, hidden, moeIntermediate, sharedIntermediate } = config;
  yield { name: `${block}.ffn_gate_inp.weight`, shape: [experts, hidden], type: "F32" };
  yield { name: `${block}.exp_probs_b.bias`, shape: [experts], type: "F32" };
  yield* mlp(block, expertType, "_exps", [hidden, moeIntermediate], [experts]);
  yield* mlp(block, type, "_shexp", [hidden, sharedIntermediate]);
}

function* mlp(
  block: string,
  type: Type,
  suffix: string,
  [hidden, width]: readonly [hidden: number, width: number],
  stack: readonly number[] = [],
): Generator<GgufTensor> {
  yield { name: `${block}.ffn_gate${suffix}.weight`, shape: [...stack, width, hidden], type };
  yield { name: `${block}.ffn_up${suffix}.weight`, shape: [...stack, width, hidden], type };
  yield { name: `${block}.ffn_down${suffix}.weight`, shape: [...stack, hidden, width], type };
}

/** A value of metadata, with the type that llama.cpp expects of it. */
type Value =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly text: string };

/** No tokenizer: token ids are all that is asked for. */
export function metadata(config: ModelConfig): ReadonlyMap<string, Value> {
  const own: Record<string, Value> = {
    vocab_size: { u32: config.vocab },
    context_length: { u32: config.maxPositions },
    embedding_length: { u32: config.hidden },
    block_count: { u32: config.layers },
    feed_forward_length: { u32: config.intermediate },
    leading_dense_block_count: { u32: config.firstDense },
    expert_count: { u32: config.experts },
    expert_used_count: { u32: config.expertsPerToken },
    expert_shared_count: { u32: config.sharedExperts },
    expert_feed_forward_length: { u32: config.moeIntermediate },
    expert_shared_feed_forward_length: { u32: config.sharedIntermediate },
    expert_group_count: { u32: config.groups },
    expert_group_used_count: { u32: config.groupsKept },
    expert_weights_scale: { f32: config.routedScale },
    expert_weights_norm: { bool: config.normTopK },
    expert_gating_func: { u32: config.scoreFunction === "sigmoid" ? 2 : 1 },
    "attention.head_count": { u32: config.heads },
    "attention.head_count_kv": { u32: config.kvHeads },
    "attention.key_length": { u32: config.headDim },
    "attention.value_length": { u32: config.headDim },
    "attention.layer_norm_rms_epsilon": { f32: config.rmsNormEps },
    "rope.dimension_count": { u32: config.rotaryDim },
    "rope.freq_base": { f32: config.ropeTheta },
  };
  return new Map<string, Value>([
    ["general.architecture", { text: ARCHITECTURE }],
    ...Object.entries(own).map(([key, value]) => [`${ARCHITECTURE}.${key}`, value] as const),
    ["tokenizer.ggml.model", { text: "no_vocab" }],
  ]);
}

const VERSION = 3;
const ALIGNMENT = 32;

/**
 * Everything of a GGUF file that comes before its tensors' data.
 * @throws RangeError for a model that llama.cpp does not know under this architecture
 */
export function ggufHead(config: ModelConfig, quantize: Quantize): Uint8Array<ArrayBuffer> {
  if (config.architecture !== "softmax" || config.experts === 0 || config.tied || !config.qkNorm) {
    const wanted = "layers of softmax attention with norms of queries and keys, experts, and a head of its own";
    throw new RangeError(`Cannot write this model as ${ARCHITECTURE}, which has ${wanted}`);
  }
  const [values, tensors] = [metadata(config), [...ggufTensors(config, quantize)]];
  const writer = new Writer();
  writer.bytes(new TextEncoder().encode("GGUF"));
  writer.u32(VERSION);
  writer.u64(tensors.length);
  writer.u64(values.size);
  for (const [key, value] of values) writer.entry(key, value);
  let offset = 0;
  for (const tensor of tensors) {
    const { name, shape, type } = tensor;
    writer.text(name);
    writer.u32(shape.length);
    for (const size of shape.toReversed()) writer.u64(size);
    writer.u32(TYPES[type].number);
    writer.u64(offset);
    offset = aligned(offset + bytesOf(tensor));
  }
  return writer.finish();
}

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

class Writer {
  readonly #parts: Uint8Array[] = [];

  bytes(part: Uint8Array): void {
    this.#parts.push(part);
  }

  u32(value: number): void {
    this.#parts.push(new Uint8Array(Uint32Array.of(value).buffer));
  }

  u64(value: number): void {
    this.#parts.push(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }

  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.bytes(bytes);
  }

  /** A key, the number of its value's type, and the value. */
  entry(key: string, value: Value): void {
    this.text(key);
    if ("u32" in value) {
      this.u32(4);
      this.u32(value.u32);
    } else if ("f32" in value) {
      this.u32(6);
      this.bytes(new Uint8Array(Float32Array.of(value.f32).buffer));
    } else if ("bool" in value) {
      this.u32(7);
      this.bytes(Uint8Array.of(Number(value.bool)));
    } else {
      this.u32(8);
      this.text(value.text);
    }
  }

  /** All parts in a row, up to where data would begin. */
  finish(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(aligned(this.#parts.reduce((sum, part) => sum + part.length, 0)));
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

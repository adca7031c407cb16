/** The head of a GGUF file, llama.cpp's format, of a model by its configuration alone: metadata, and names and shapes of tensors. */
import { isMoeLayer, type ModelConfig } from "../../src/model/config.ts";

/** What llama.cpp calls models of this family whose layers are softmax attention all. */
const ARCHITECTURE = "bailingmoe2";

/** ggml's numbers of types, and the bytes of an element. */
export const TYPES = { F32: { number: 0, bytes: 4 }, BF16: { number: 30, bytes: 2 } } as const;

export interface GgufTensor {
  readonly name: string;
  /** Row-major, as everywhere here; GGUF stores it the other way round. */
  readonly shape: readonly number[];
  readonly type: keyof typeof TYPES;
}

/** Tensors of the released checkpoints' types: matrices in BF16, routers, norms and biases in F32. */
export function* ggufTensors(config: ModelConfig): Generator<GgufTensor> {
  const { vocab, hidden, layers, heads, kvHeads, headDim } = config;
  const matrix = (name: string, ...shape: number[]): GgufTensor => ({ name: `${name}.weight`, shape, type: "BF16" });
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
    yield* isMoeLayer(config, layer) ? experts(config, block) : mlp(block, "", [], hidden, config.intermediate);
  }
  yield norm("output_norm", hidden);
  yield matrix("output", vocab, hidden);
}

function* experts(config: ModelConfig, block: string): Generator<GgufTensor> {
  const { experts, hidden, moeIntermediate, sharedIntermediate } = config;
  yield { name: `${block}.ffn_gate_inp.weight`, shape: [experts, hidden], type: "F32" };
  yield { name: `${block}.exp_probs_b.bias`, shape: [experts], type: "F32" };
  yield* mlp(block, "_exps", [experts], hidden, moeIntermediate);
  yield* mlp(block, "_shexp", [], hidden, sharedIntermediate);
}

function* mlp(block: string, suffix: string, stack: number[], hidden: number, width: number): Generator<GgufTensor> {
  yield { name: `${block}.ffn_gate${suffix}.weight`, shape: [...stack, width, hidden], type: "BF16" };
  yield { name: `${block}.ffn_up${suffix}.weight`, shape: [...stack, width, hidden], type: "BF16" };
  yield { name: `${block}.ffn_down${suffix}.weight`, shape: [...stack, hidden, width], type: "BF16" };
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
export function ggufHead(config: ModelConfig): Uint8Array<ArrayBuffer> {
  if (config.architecture !== "softmax" || config.experts === 0 || config.tied || !config.qkNorm) {
    const wanted = "layers of softmax attention with norms of queries and keys, experts, and a head of its own";
    throw new RangeError(`Cannot write this model as ${ARCHITECTURE}, which has ${wanted}`);
  }
  const [values, tensors] = [metadata(config), [...ggufTensors(config)]];
  const writer = new Writer();
  writer.bytes(new TextEncoder().encode("GGUF"));
  writer.u32(VERSION);
  writer.u64(tensors.length);
  writer.u64(values.size);
  for (const [key, value] of values) writer.entry(key, value);
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    writer.text(name);
    writer.u32(shape.length);
    for (const size of shape.toReversed()) writer.u64(size);
    writer.u32(TYPES[type].number);
    writer.u64(offset);
    offset = aligned(offset + TYPES[type].bytes * shape.reduce((product, size) => product * size, 1));
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

/** Random values for tensors of any size: one block of each kind, read round and round from ever other places. */
import { bytesOf, type GgufTensor, TYPES } from "./gguf.ts";

/** Elements, whole groups of them; no row of a matrix begins at the same place of it twice in a row, and places are whole words. */
const BLOCK = 2 ** 22 + 32 * 107;

/** As src/model/random_weights.ts makes them: norms near 1, biases near 0, matrices of variance 1 / K, an embedding of variance 1. */
function distribution({ name, shape }: GgufTensor): { readonly centre: number; readonly spread: number } {
  if (name.endsWith("norm.weight")) return { centre: 1, spread: 0.2 };
  if (shape.length === 1) return { centre: 0, spread: 0.01 };
  return { centre: 0, spread: Math.sqrt(3 / (name === "token_embd.weight" ? 1 : shape.at(-1)!)) };
}

interface Block {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where the next tensor begins. */
  at: number;
}

export class RandomBlocks {
  readonly #blocks = new Map<string, Block>();

  /** The bytes of a tensor: all at once, as llama.cpp puts those of some types in another order. */
  take(tensor: GgufTensor): Uint8Array<ArrayBuffer> {
    const block = this.#block(tensor);
    const taken = new Uint8Array(bytesOf(tensor));
    for (let at = 0; at < taken.length;) {
      const part = block.bytes.subarray(block.at, block.at + taken.length - at);
      taken.set(part, at);
      at += part.length;
      block.at = (block.at + part.length) % block.bytes.length;
    }
    return taken;
  }

  #block(tensor: GgufTensor): Block {
    const { centre, spread } = distribution(tensor);
    const key = `${tensor.type} ${centre} ${spread}`;
    const block = this.#blocks.get(key) ?? { bytes: encoded(tensor.type, centre, spread), at: 0 };
    this.#blocks.set(key, block);
    return block;
  }
}

function encoded(type: GgufTensor["type"], centre: number, spread: number): Uint8Array<ArrayBuffer> {
  if (type === "Q8_0" || type === "Q4_0") return grouped(type, spread);
  const values = evenly(centre, spread);
  return new Uint8Array(type === "F32" ? values.buffer : bf16(values).buffer);
}

/** Any codes, behind a scale with which they are as far spread: a float16 for each group. */
function grouped(type: "Q8_0" | "Q4_0", spread: number): Uint8Array<ArrayBuffer> {
  const { elements, bytes } = TYPES[type];
  const scale = new Uint8Array(new Float16Array([spread / (type === "Q8_0" ? 128 : 8)]).buffer);
  const codes = new Uint32Array(evenly(0, 1).buffer).map((bits) => bits >>> 8);
  const block = new Uint8Array(BLOCK / elements * bytes).map((_, i) => codes[i]!);
  for (let at = 0; at < block.length; at += bytes) block.set(scale, at);
  return block;
}

/** Even values in centre ± spread, by a linear congruence of 32 bits. */
function evenly(centre: number, spread: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(BLOCK);
  let state = 1;
  for (let i = 0; i < BLOCK; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = centre + spread * (state / 2 ** 31 - 1);
  }
  return values;
}

/** The upper halves. */
function bf16(values: Float32Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  return new Uint16Array(values.buffer).filter((_, i) => i % 2 === 1);
}

/** Random values for tensors of any size: one block of each kind, read round and round from ever other places. */
import type { GgufTensor } from "./gguf.ts";

/** Elements; no row of a matrix begins at the same place of it twice in a row, and places are whole words. */
const BLOCK = 2 ** 22 + 106;

/** As src/model/random_weights.ts makes them: norms near 1, biases near 0, matrices of variance 1 / K, an embedding of variance 1. */
function distribution({ name, shape }: GgufTensor): { readonly centre: number; readonly spread: number } {
  if (name.endsWith("norm.weight")) return { centre: 1, spread: 0.2 };
  if (shape.length === 1) return { centre: 0, spread: 0.01 };
  return { centre: 0, spread: Math.sqrt(3 / (name === "token_embd.weight" ? 1 : shape.at(-1)!)) };
}

export class RandomBlocks {
  readonly #blocks = new Map<string, Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer>>();
  #cursor = 0;

  /** The next elements of a tensor, at most `most`. */
  take(tensor: GgufTensor, most: number): Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer> {
    const block = this.#block(tensor);
    const taken = block.subarray(this.#cursor, this.#cursor + most);
    this.#cursor = (this.#cursor + taken.length) % BLOCK;
    return taken;
  }

  #block(tensor: GgufTensor): Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer> {
    const { centre, spread } = distribution(tensor);
    const key = `${tensor.type} ${centre} ${spread}`;
    let block = this.#blocks.get(key);
    if (!block) {
      const values = evenly(centre, spread);
      block = tensor.type === "F32" ? values : bf16(values);
      this.#blocks.set(key, block);
    }
    return block;
  }
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

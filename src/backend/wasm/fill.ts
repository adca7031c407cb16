/** Random values for a tensor in linear memory, a word of 32 bits at a time: a full-size model has some 10^10 bytes of them. */
import type { RandomValues } from "../backend.ts";
import type { WeightType } from "../tensor.ts";

/** A permutation of the 32-bit numbers: PCG-RXS-M-XS. */
function permute(x: number): number {
  const state = (Math.imul(x, 747796405) + 2891336453) | 0;
  const word = Math.imul((state >>> ((state >>> 28) + 4)) ^ state, 277803737);
  return (word >>> 22) ^ word;
}

/**
 * Fills `bytes`, those of a tensor of that type, in the way that {@linkcode RandomValues} says. What is left of the last word is filled
 * as well: tensors begin at multiples of more.
 */
export function fill(bytes: Uint8Array<ArrayBuffer>, dtype: WeightType, values: RandomValues): void {
  const { buffer, byteOffset, length } = bytes;
  const words = new Int32Array(buffer, byteOffset, Math.ceil(length / 4));
  switch (dtype) {
    case "f32":
      return fillF32(new Float32Array(buffer, byteOffset, words.length), values);
    case "f16":
    case "bf16":
      return fillHalves(words, levels(dtype, values), values.seed);
    default:
      return fillCodes(words, UNWANTED[dtype], values.seed);
  }
}

function fillF32(target: Float32Array, { seed, spread, centre }: RandomValues): void {
  for (let i = 0; i < target.length; i++) {
    target[i] = centre + spread * ((permute(permute(i) ^ seed) >>> 0) / 2 ** 31 - 1);
  }
}

/** The bits of 2^16 values, evenly spread: to look one up is faster than to convert it. */
function levels(dtype: "f16" | "bf16", { spread, centre }: RandomValues): Uint16Array {
  const values = Float32Array.from({ length: 2 ** 16 }, (_, i) => centre + spread * ((i + 0.5) / 2 ** 15 - 1));
  if (dtype === "f16") return new Uint16Array(Float16Array.from(values).buffer);
  return Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
}

/** Two values a word. */
function fillHalves(words: Int32Array, levels: Uint16Array, seed: number): void {
  for (let i = 0; i < words.length; i++) {
    const drawn = permute(permute(i) ^ seed);
    words[i] = levels[drawn & 0xffff]! | levels[drawn >>> 16]! << 16;
  }
}

/** Bytes that are no number, or have no opposite: those whose bits under `mask` are those of `code`. */
const UNWANTED = {
  f8_e4m3: { mask: 0x7f7f7f7f, code: 0x7f7f7f7f },
  q8: { mask: -1, code: 0x80808080 | 0 },
  q4: null,
} as const;

/** Four bytes a word, or eight codes of 4 bits. */
function fillCodes(words: Int32Array, unwanted: typeof UNWANTED[keyof typeof UNWANTED], seed: number): void {
  for (let i = 0; i < words.length; i++) {
    const drawn = permute(permute(i) ^ seed);
    words[i] = unwanted === null ? drawn : drawn ^ bytesEqual(drawn, unwanted.mask, unwanted.code);
  }
}

/** 1 in the lowest bit of every byte whose bits are those of `code`, where `mask` has any. */
function bytesEqual(word: number, mask: number, code: number): number {
  const other = (word ^ code) & mask;
  return ~((((other & 0x7f7f7f7f) + 0x7f7f7f7f) | other) >>> 7) & 0x01010101;
}

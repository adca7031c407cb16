/** Random values for a tensor in linear memory. */
import type { RandomValues } from "../backend.ts";
import type { WeightType } from "../tensor.ts";

/** A permutation of the 32-bit numbers: PCG-RXS-M-XS. */
function permute(x: number): number {
  const state = (Math.imul(x, 747796405) + 2891336453) >>> 0;
  const word = Math.imul((state >>> ((state >>> 28) + 4)) ^ state, 277803737);
  return ((word >>> 22) ^ word) >>> 0;
}

/** A byte of codes without what is no number, or has no opposite. */
const CODES = {
  f8_e4m3: (byte: number) => (byte & 0x7f) === 0x7f ? byte ^ 1 : byte,
  q8: (byte: number) => byte === 0x80 ? 0x81 : byte,
  q4: (byte: number) => byte,
} as const;

/** Fills `bytes`, those of a tensor of that type, in the way that {@linkcode RandomValues} says. */
export function fill(bytes: Uint8Array<ArrayBuffer>, dtype: WeightType, { seed, spread, centre }: RandomValues): void {
  const draw = (i: number) => permute((permute(i) ^ seed) >>> 0);
  const value = (i: number) => centre + spread * (draw(i) / 2 ** 31 - 1);
  const { buffer, byteOffset, length } = bytes;
  switch (dtype) {
    case "f32":
      return fillEach(new Float32Array(buffer, byteOffset, length / 4), value);
    case "f16":
      return fillEach(new Float16Array(buffer, byteOffset, length / 2), value);
    case "bf16":
      return fillBf16(new Uint16Array(buffer, byteOffset, length / 2), value);
    default:
      return fillEach(bytes, (i) => CODES[dtype](draw(i) & 0xff));
  }
}

function fillEach(target: Float32Array | Float16Array | Uint8Array, value: (i: number) => number): void {
  for (let i = 0; i < target.length; i++) target[i] = value(i);
}

function fillBf16(target: Uint16Array, value: (i: number) => number): void {
  const single = new Float32Array(1);
  const bits = new Uint32Array(single.buffer);
  for (let i = 0; i < target.length; i++) {
    single[0] = value(i);
    target[i] = bits[0]! >>> 16;
  }
}

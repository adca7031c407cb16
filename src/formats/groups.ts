/** Weights as small codes in groups of 32 with factors of their own: rounding into them, and their exact values. */

/** Codes of 8 bits with a scale, or of 4 bits with a scale and a minimum. */
export type GroupType = "q8" | "q4";

/** Neighbours in a row that share their factors. */
export const GROUP = 32;

/**
 * Rows in groups.
 * - q8: value = code · scale; codes int8 [rows, K], factors f16 [rows, K / 32]
 * - q4: value = code · scale + minimum; codes of 4 bits [rows, K], two a byte, the first one low;
 *   factors f16 [rows, K / 32, 2], scale and minimum
 */
export interface Groups {
  readonly codes: Uint8Array<ArrayBuffer>;
  readonly factors: Uint8Array<ArrayBuffer>;
}

/** Bytes of so many values. */
export const GROUP_BYTES = {
  q8: { codes: 32, factors: 2 },
  q4: { codes: 16, factors: 4 },
} as const;

/** The largest codes. */
const Q8_MOST = 127;
const Q4_MOST = 15;

const HALF_MOST = 65504;

/** Whether a tensor can be held in groups: a matrix [N, K] of whole groups whose factors fill whole words. */
export function fitsGroups(shape: readonly number[]): boolean {
  const [N = 0, K = 0] = shape;
  return shape.length === 2 && K % GROUP === 0 && N * K % (2 * GROUP) === 0;
}

/**
 * Rounds each value to the nearest that its group can say. Scales are rounded up and minima down, so that the codes
 * reach the group's extremes and no error is above half a scale.
 * @param values whole rows, one after another, K a multiple of 32
 * @throws {RangeError} for a value that is not finite or whose factors float16 cannot hold
 */
export function toGroups(type: GroupType, values: Float32Array): Groups {
  const count = values.length / GROUP;
  const codes = new Uint8Array(count * GROUP_BYTES[type].codes);
  if (type === "q8") {
    const scales = new Float16Array(count);
    for (let g = 0; g < count; g++) scales[g] = q8Group(values, g * GROUP, codes);
    return { codes, factors: new Uint8Array(scales.buffer) };
  }
  const factors = new Float16Array(2 * count);
  for (let g = 0; g < count; g++) {
    const least = q4Minimum(values, g * GROUP);
    factors[2 * g] = q4Group(values, g * GROUP, least, codes);
    factors[2 * g + 1] = least;
  }
  return { codes, factors: new Uint8Array(factors.buffer) };
}

/** Writes the codes of the 32 values from `begin` on; returns their scale. */
function q8Group(values: Float32Array, begin: number, codes: Uint8Array): number {
  let largest = 0;
  for (let i = begin; i < begin + GROUP; i++) largest = Math.max(largest, Math.abs(values[i]!)); // NaN stays
  const scale = halfAbove(checked(largest / Q8_MOST));
  const inverse = scale === 0 ? 0 : 1 / scale;
  for (let i = begin; i < begin + GROUP; i++) codes[i] = Math.floor(values[i]! * inverse + 0.5);
  return scale;
}

/** The largest float16 that no value of the group is below. */
function q4Minimum(values: Float32Array, begin: number): number {
  let least = Infinity;
  for (let i = begin; i < begin + GROUP; i++) least = Math.min(least, values[i]!);
  return -halfAbove(checked(-least));
}

/** Writes the codes of the 32 values from `begin` on; returns their scale. */
function q4Group(values: Float32Array, begin: number, least: number, codes: Uint8Array): number {
  let most = least;
  for (let i = begin; i < begin + GROUP; i++) most = Math.max(most, values[i]!);
  const scale = halfAbove(checked((most - least) / Q4_MOST));
  const inverse = scale === 0 ? 0 : 1 / scale;
  for (let i = begin; i < begin + GROUP; i += 2) {
    const low = (values[i]! - least) * inverse + 0.5;
    const high = (values[i + 1]! - least) * inverse + 0.5;
    codes[i >> 1] = low | high << 4;
  }
  return scale;
}

function checked(factor: number): number {
  if (Math.abs(factor) <= HALF_MOST) return factor;
  const why = Number.isFinite(factor) ? `they need a factor of ${factor}, beyond float16` : "one is infinite or NaN";
  throw new RangeError(`Cannot quantize weights: ${why}; use --quantize none`);
}

const half = new Float16Array(1);
const bits = new Uint16Array(half.buffer);

/** The least float16 that is not below. */
function halfAbove(value: number): number {
  half[0] = value;
  if (half[0]! >= value) return half[0]!;
  bits[0]! += half[0]! < 0 ? -1 : 1;
  return half[0]!;
}

/** The values of groups, rounded once to float32. */
export function fromGroups(type: GroupType, { codes, factors }: Groups): Float32Array<ArrayBuffer> {
  const halves = new Float16Array(factors.buffer, factors.byteOffset, factors.length / 2);
  const values = new Float32Array(codes.length / GROUP_BYTES[type].codes * GROUP);
  if (type === "q8") {
    const signed = new Int8Array(codes.buffer, codes.byteOffset, codes.length);
    for (let i = 0; i < values.length; i++) values[i] = signed[i]! * halves[i >> 5]!;
    return values;
  }
  for (let i = 0; i < values.length; i++) {
    const code = i & 1 ? codes[i >> 1]! >> 4 : codes[i >> 1]! & 15;
    values[i] = code * halves[2 * (i >> 5)]! + halves[2 * (i >> 5) + 1]!;
  }
  return values;
}

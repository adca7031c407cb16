/** The types that weights are stored in, decoded exactly to float32. */

/** Types that a weight may have. */
export const WEIGHT_TYPES = ["BF16", "F16", "F32", "F8_E4M3"] as const;
export type WeightType = (typeof WEIGHT_TYPES)[number];

export function isWeightType(dtype: string): dtype is WeightType {
  return (WEIGHT_TYPES as readonly string[]).includes(dtype);
}

const BYTES = { BF16: 2, F16: 2, F32: 4, F8_E4M3: 1 } as const;

/** OCP E4M3 "fn": bias 7, subnormals in steps of 2^-9, no infinities, S.1111.111 is NaN. */
const E4M3 = Float32Array.from({ length: 256 }, (_, code) => {
  const sign = code & 0x80 ? -1 : 1;
  const exponent = (code >> 3) & 15;
  const mantissa = code & 7;
  if (exponent === 15 && mantissa === 7) return NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10));
});

/**
 * Decodes little-endian values, without scales. F32 shares the memory of `bytes` where that is aligned.
 * @throws {RangeError} if `bytes` is not a whole number of values
 */
export function toF32(dtype: WeightType, bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const count = bytes.length / BYTES[dtype];
  if (!Number.isInteger(count)) {
    throw new RangeError(`Cannot decode ${bytes.length} bytes as ${dtype}: a value takes ${BYTES[dtype]} bytes`);
  }
  const { buffer, byteOffset } = bytes.byteOffset % BYTES[dtype] ? bytes.slice() : bytes;
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer, byteOffset, count);
    case "F16":
      return new Float32Array(new Float16Array(buffer, byteOffset, count));
    case "BF16":
      return fromBf16(new Uint16Array(buffer, byteOffset, count));
    case "F8_E4M3":
      return fromE4m3(bytes);
  }
}

/** BF16 is the upper half of an F32. */
function fromBf16(codes: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(codes.length);
  for (let i = 0; i < codes.length; i++) bits[i] = codes[i]! << 16;
  return new Float32Array(bits.buffer);
}

function fromE4m3(codes: Uint8Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) values[i] = E4M3[codes[i]!]!;
  return values;
}

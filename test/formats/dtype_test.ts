import assert from "node:assert/strict";
import { toF32, type WeightType } from "../../src/formats/dtype.ts";

/** IEEE-like value of a code, in float64, from the meaning of its fields. */
function value(code: number, exponentBits: number, mantissaBits: number): number {
  const sign = code >> (exponentBits + mantissaBits) ? -1 : 1;
  const exponent = (code >> mantissaBits) & (2 ** exponentBits - 1);
  const fraction = (code & (2 ** mantissaBits - 1)) / 2 ** mantissaBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** Every 16-bit code, little-endian. */
function allCodes16(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: 2 * 65536 }, (_, i) => i % 2 === 0 ? (i >> 1) & 255 : i >> 9);
}

function assertExact(type: WeightType, actual: Float32Array, expected: (code: number) => number): void {
  for (const [code, found] of actual.entries()) {
    if (!Object.is(found, expected(code))) assert.fail(`${type} code ${code}: ${found}, not ${expected(code)}`);
  }
}

Deno.test("toF32() decodes all 65,536 BF16 codes exactly", () => {
  const values = toF32("BF16", allCodes16());
  assert.equal(values.length, 65536);
  assertExact("BF16", values, (code) => value(code, 8, 7));
});

Deno.test("toF32() decodes all 65,536 F16 codes exactly", () => {
  const values = toF32("F16", allCodes16());
  assert.equal(values.length, 65536);
  assertExact("F16", values, (code) => value(code, 5, 10));
});

Deno.test("toF32() decodes all 256 E4M3 codes exactly: no infinities, NaN only at 0x7f and 0xff", () => {
  const values = toF32("F8_E4M3", Uint8Array.from({ length: 256 }, (_, code) => code));
  assert.equal(values.length, 256);
  assertExact("F8_E4M3", values, (code) => {
    if ((code & 0x7f) === 0x7f) return NaN;
    // The top exponent, which `value` takes for infinity, is an ordinary one here: 2^8.
    return (code & 0x78) === 0x78 ? (code & 0x80 ? -1 : 1) * (256 + 32 * (code & 7)) : value(code, 4, 3);
  });
  assert.equal(values[0x7e], 448);
  assert.equal(values[1], 2 ** -9);
});

Deno.test("toF32() reads F32 as it is, from addresses that are not aligned too", () => {
  const floats = Float32Array.of(1.5, -0, NaN, 3e38, 1e-45);
  const bytes = new Uint8Array(floats.buffer);
  assert.deepEqual(toF32("F32", bytes), floats);
  for (const [type, size] of [["F32", 4], ["F16", 2], ["BF16", 2], ["F8_E4M3", 1]] as const) {
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    assert.equal(shifted.subarray(1).byteOffset % 2, 1);
    assert.deepEqual(toF32(type, shifted.subarray(1)), toF32(type, bytes), type);
    assert.equal(toF32(type, bytes).length, bytes.length / size);
  }
});

Deno.test("toF32() refuses half a value", () => {
  assert.throws(() => toF32("BF16", new Uint8Array(3)), {
    name: "RangeError",
    message: "Cannot decode 3 bytes as BF16: a value takes 2 bytes",
  });
  assert.throws(() => toF32("F32", new Uint8Array(6)), /Cannot decode 6 bytes as F32: a value takes 4 bytes/);
});

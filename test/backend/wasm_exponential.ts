/** Holds the kernels' exponential against Math.exp. */
import { strict as assert } from "node:assert";
import type { KernelsExports } from "../../wasm/kernels.ts";
import type { Memory } from "../../wasm/memory.ts";

const RELATIVE_ERROR = 2e-7;

/** Half of what separates two subnormals, with some room. */
const ABSOLUTE_ERROR = 1e-45;

/** The odd ones, and all from where the results are 0 to where they are infinite. */
const ARGUMENTS = Float32Array.of(
  ...[0, -0, 1, -1, 88.72, 88.73, -87.33, -87.34, -103.9, -104, 1e30, -1e30, Infinity, -Infinity, NaN, 1e-30],
  ...Array.from({ length: 2_000 }, (_, i) => (i - 1_000) * 1e-4),
  ...Array.from({ length: 40_001 }, (_, i) => -110 + 200 * i / 40_001),
);

function isRight(actual: number, expected: number): boolean {
  if (Math.fround(expected) === Infinity) return actual === Infinity;
  if (Number.isNaN(expected)) return Number.isNaN(actual);
  return Math.abs(actual - expected) <= RELATIVE_ERROR * expected + ABSOLUTE_ERROR;
}

/** Throws AssertionError unless exp is right to 2e-7, and 0, infinite and NaN where it should be. */
export function checkExponential(kernels: KernelsExports, memory: Memory<KernelsExports>): void {
  const [x, y] = [memory.copy("f32", ARGUMENTS), memory.alloc("f32", ARGUMENTS.length)];
  kernels.exponential(y, x, 0, ARGUMENTS.length);
  memory.view("f32", y, ARGUMENTS.length).forEach((actual, i) => {
    const expected = Math.exp(ARGUMENTS[i]!);
    assert.ok(isRight(actual, expected), `exp(${ARGUMENTS[i]}) is ${actual}, expected ${expected}`);
  });
}

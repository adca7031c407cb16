import { strict as assert } from "node:assert";
import fc from "fast-check";
import { fitsGroups, fromGroups, GROUP, GROUP_BYTES, type GroupType, toGroups } from "../../src/formats/groups.ts";

const TYPES = ["q8", "q4"] as const;

/** The factors of the groups: [groups] or [groups, 2] */
const factorsOf = (type: GroupType, values: Float32Array) => {
  const { factors } = toGroups(type, values);
  return new Float16Array(factors.buffer);
};

/** Whole groups of values of very different sizes. */
const rows = fc.integer({ min: 1, max: 3 }).chain((count) =>
  fc.tuple(
    fc.array(fc.float({ noNaN: true, min: -1, max: 1 }), { minLength: count * GROUP, maxLength: count * GROUP }),
    fc.integer({ min: -20, max: 15 }),
    fc.float({ noNaN: true, min: -100, max: 100 }),
  ).map(([values, power, centre]) => Float32Array.from(values, (value) => centre + value * 2 ** power))
);

for (const type of TYPES) {
  Deno.test(`toGroups() rounds to ${type} with errors of at most half a step`, () => {
    fc.assert(fc.property(rows, (values) => {
      const [factors, back] = [factorsOf(type, values), fromGroups(type, toGroups(type, values))];
      values.forEach((value, i) => {
        const scale = factors[type === "q8" ? i >> 5 : 2 * (i >> 5)]!;
        // What is read is itself rounded to f32.
        const most = scale / 2 * (1 + 1e-6) + Math.abs(value) * 2 ** -23;
        assert.ok(Math.abs(back[i]! - value) <= most, `${value} became ${back[i]}, in steps of ${scale}`);
      });
    }));
  });

  Deno.test(`toGroups() gives ${type} what fits it back exactly: zeros, and its own values`, () => {
    const zeros = toGroups(type, new Float32Array(2 * GROUP));
    assert.ok([...zeros.codes, ...zeros.factors].every((byte) => byte === 0));
    const values = Float32Array.from({ length: 64 * GROUP }, (_, i) => Math.sin(i * i) * 0.02);
    const once = fromGroups(type, toGroups(type, values));
    assert.notDeepEqual(once, values);
    assert.deepEqual(fromGroups(type, toGroups(type, once)), once);
  });

  Deno.test(`toGroups() refuses to round infinities, NaN and what float16 cannot scale to ${type}`, () => {
    for (
      const [bad, why] of [[NaN, "one is infinite or NaN"], [Infinity, "one is"], [-Infinity, "one is"], [
        3e38,
        "beyond float16",
      ], [-3e38, "beyond float16"]] as const
    ) {
      for (const at of [0, 7, GROUP - 1, GROUP]) {
        const values = new Float32Array(2 * GROUP).fill(0.5);
        values[at] = bad;
        const message = (error: Error) =>
          error instanceof RangeError && error.message.startsWith("Cannot quantize weights: ") &&
          error.message.includes(why);
        assert.throws(() => toGroups(type, values), message, `${bad} at ${at}`);
      }
    }
  });

  Deno.test(`toGroups() takes ${GROUP_BYTES[type].codes + GROUP_BYTES[type].factors} bytes for a group of ${type}`, () => {
    const { codes, factors } = toGroups(type, new Float32Array(3 * GROUP).fill(1));
    assert.deepEqual([codes.length, factors.length], [3 * GROUP_BYTES[type].codes, 3 * GROUP_BYTES[type].factors]);
  });
}

Deno.test("toGroups() holds a constant of float16 exactly in q4", () => {
  for (const value of [1, -0.3125, 2 ** -14, 2 ** -24, 65504, -65504]) {
    const values = new Float32Array(GROUP).fill(value);
    assert.deepEqual(fromGroups("q4", toGroups("q4", values)), values);
  }
});

Deno.test("toGroups() puts the first of two half bytes low, and extremes at the ends of the codes", () => {
  const values = new Float32Array(GROUP);
  values.set([15, 0, 3]);
  assert.deepEqual([...toGroups("q4", values).codes.subarray(0, 2)], [0x0f, 0x03]);
  values.set([127, -127, 3]);
  assert.deepEqual([...new Int8Array(toGroups("q8", values).codes.buffer, 0, 3)], [127, -127, 3]);
});

Deno.test("fitsGroups() wants matrices of whole groups whose factors fill whole words", () => {
  const fit = [[2, 32], [1, 64], [3, 64], [4, 96]];
  const misfit = [[1, 32], [3, 96], [2, 48], [64], [], [2, 2, 32]];
  assert.deepEqual([...fit, ...misfit].filter(fitsGroups), fit);
});

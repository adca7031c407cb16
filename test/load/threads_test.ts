/** How many threads a stage on the CPU has, by what the model's rows read. */
import { strict as assert } from "node:assert";
import { threadsFor, threadsOf } from "../../src/load/threads.ts";

const RING_MINI = new URL("../../bench/ring-mini-linear-2.0.json", import.meta.url).pathname;

Deno.test("threadsFor() gives a thread to each 1.5 MiB, one at least, and no more than there may be", () => {
  const MIB = 2 ** 20;
  assert.deepEqual([0, 1, 3 * MIB - 1, 3 * MIB, 9.9 * MIB, 2 ** 40].map((bytes) => threadsFor(bytes, 16)), [
    ...[1, 1, 1, 2, 6, 16],
  ]);
  assert.equal(threadsFor(2 ** 40, 3), 3);
});

Deno.test("threadsOf() is what was asked for, or suits the model: 8 for ring-nano, all for a large one", async () => {
  const processors = navigator.hardwareConcurrency;
  assert.equal(await threadsOf({ threads: 40 }), 40);
  assert.equal(await threadsOf({}), Math.min(8, processors));
  for (const quantize of ["none", "q4"] as const) {
    assert.equal(await threadsOf({ model: RING_MINI, quantize }), Math.min(16, processors));
  }
});

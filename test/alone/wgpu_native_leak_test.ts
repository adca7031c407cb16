/** Nothing is left behind by steps: objects of the library are counted, and so is the process's memory. */
import { strict as assert } from "node:assert";
import { Adder } from "../backend/wgpu_native/adder.ts";
import { openNative, testOnNative } from "../backend/wgpu_native/library.ts";

const STEPS = 20_000;

/** Steps of which one is recorded ahead and then not wanted. */
const WASTED = 10;

/** What the garbage collector may let lie, about 1.6 KB for each step. */
const MOST_BYTES = 2 ** 25;

testOnNative(
  `${STEPS} steps leave no object and no memory behind, those that are recorded in vain included`,
  async () => {
    using gpu = openNative();
    const adder = await Adder.open(gpu);
    const run = async (steps: number) => {
      for (let i = 0; i < steps; i++) {
        adder.device.queue.writeBuffer(adder.a, 0, Float32Array.of(i, 0, 0, 0));
        adder.add();
        if (i % WASTED === 0) adder.record();
        if (i % 1000 === 0) await new Promise((resolve) => setTimeout(resolve)); // lets the garbage collector tell
      }
    };
    await run(STEPS / 4);
    const before = Deno.memoryUsage().rss;
    await run(STEPS);
    const grown = Deno.memoryUsage().rss - before;
    // The garbage collector may come late for what was recorded in vain since it came last.
    assert.ok(gpu.report().commandBuffers! <= STEPS / WASTED / 2, `${gpu.report().commandBuffers} command buffers`);
    assert.ok(grown < MOST_BYTES, `${grown} bytes more`);
    adder.device.destroy();
    const kept = Object.entries(gpu.report()).filter(([kind, count]) => kind !== "adapters" && count > 0);
    assert.deepEqual([adder.device.liveHandles, kept], [0, []]);
  },
);

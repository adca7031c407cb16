/** On how many devices stages are, by how they are opened. */
import { strict as assert } from "node:assert";
import { deviceCount } from "../../src/load/device_count.ts";
import type { GpuProvider } from "../../src/mod.ts";

Deno.test("deviceCount() tells GPUs by their names", () => {
  const count = (gpu: readonly GpuProvider[], stages: number) =>
    deviceCount({ backend: "webgpu", gpu, stages, threads: 1 }, stages);
  assert.equal(count(["wgpu-native:1"], 2), 1);
  assert.equal(count(["wgpu-native:0", "wgpu-native:1"], 2), 2);
  assert.equal(count(["wgpu-native:0", "wgpu-native:0", "wgpu-native:1"], 3), 2);
});

Deno.test("deviceCount() gives stages on the CPU that were asked for as many processors as they have threads", () => {
  const processors = navigator.hardwareConcurrency;
  const count = (stages: number, threads: number) =>
    deviceCount({ backend: "wasm", gpu: ["deno"], stages, threads }, stages);
  assert.equal(count(2, 1), Math.min(2, processors));
  assert.equal(count(processors + 3, 1), processors);
  assert.equal(count(2, processors), 1);
  assert.equal(count(2, 5 * processors), 1);
  assert.equal(
    deviceCount({ backend: "wasm", gpu: ["deno"], threads: 1 }, 2),
    1,
    "as one memory did not hold the model",
  );
});

/** On how many devices stages are, by how they are opened. */
import { strict as assert } from "node:assert";
import { deviceCount } from "../../src/load/devices.ts";

Deno.test("deviceCount() tells GPUs by their names", () => {
  const count = (gpu: Parameters<typeof deviceCount>[1]["gpu"], stages: number) =>
    deviceCount("webgpu", { ...(gpu && { gpu }), stages }, stages);
  assert.equal(count(undefined, 3), 1);
  assert.equal(count("wgpu-native:1", 2), 1);
  assert.equal(count(["wgpu-native:0", "wgpu-native:1"], 2), 2);
  assert.equal(count(["wgpu-native:0", "wgpu-native:0", "wgpu-native:1"], 3), 2);
});

Deno.test("deviceCount() gives stages on the CPU that were asked for as many processors as they have threads", () => {
  const processors = navigator.hardwareConcurrency;
  const count = (stages: number, threads?: number) =>
    deviceCount("wasm", { stages, ...(threads !== undefined && { threads }) }, stages);
  assert.equal(count(2, 1), Math.min(2, processors));
  assert.equal(count(processors + 3, 1), processors);
  assert.equal(count(2, processors), 1);
  assert.equal(count(2, 5 * processors), 1);
  if (processors <= 16) assert.equal(count(2), 1, "each has all of them by default");
  assert.equal(deviceCount("wasm", { threads: 1 }, 2), 1, "as one memory did not hold the model");
});

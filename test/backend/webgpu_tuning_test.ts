/** Variants of kernels: each gives the float64 loops' results, and one is chosen only if it is surely faster. */
import { strict as assert } from "node:assert";
import { lanesFor } from "../../src/backend/webgpu/decode_products.ts";
import { Device, USUAL_KERNELS } from "../../src/backend/webgpu/device.ts";
import { deviceKey } from "../../src/backend/webgpu/identity.ts";
import { fastest, kernelChoices, timeKernels } from "../../src/backend/webgpu/tuning.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { CASES, checkCase } from "./cases.ts";
import { GPU, testOnGpu } from "../gpu.ts";

const PLAIN = { ...USUAL_KERNELS, subgroups: false };

// A device without subgroups runs all cases (webgpu_test.ts), but has too few buffers for the experts of a few rows.
testOnGpu("experts give the float64 loops' results where subgroups are there and not chosen", async () => {
  using backend = await WebGpuBackend.open({ gpu: GPU, kernels: PLAIN });
  const chosen = CASES.filter(({ name }) => /^experts \w+ [13] rows/.test(name));
  assert.ok(chosen.length > 5, `${chosen.length} cases`);
  for (const opCase of chosen) await checkCase(backend, opCase);
});

testOnGpu("a device goes by its choice of kernels", async () => {
  using usual = await Device.open({ gpu: GPU });
  using plain = await Device.open({ gpu: GPU, kernels: PLAIN });
  assert.equal(usual.subgroups, usual.gpu.features.has("subgroups"));
  assert.deepEqual([plain.subgroups, plain.enables], [false, []]);
});

Deno.test("lanesFor() shares out to as many threads as were chosen", () => {
  const lanes = (threads: number, software = false) =>
    lanesFor({ lanes: 32, software, kernels: { subgroups: true, threads } } as Device, 512, 512);
  assert.deepEqual([2 ** 17, 2 ** 16, 2 ** 15, 2 ** 10].map((threads) => lanes(threads)), [256, 128, 64, 32]);
  assert.equal(lanes(2 ** 17, true), 32);
});

Deno.test("kernelChoices() begins with the usual one, and leaves out what a device has not", () => {
  const of = (features: readonly string[], software: boolean) =>
    kernelChoices({ gpu: { features: new Set(features) } as unknown as GPUDevice, software });
  assert.deepEqual(of([], true), [USUAL_KERNELS]);
  assert.deepEqual(of(["subgroups"], true), [USUAL_KERNELS, PLAIN]);
  assert.equal(of(["subgroups"], false).length, 6);
  assert.deepEqual(of(["subgroups"], false)[0], USUAL_KERNELS);
});

Deno.test("fastest() keeps the usual choice unless another wins by more than 3 % in three of four rounds", () => {
  const choose = (...others: readonly (readonly [millis: number, wins: number])[]) =>
    fastest([[100, 0] as const, ...others].map(([millis, wins], threads) => ({
      choice: { subgroups: true, threads },
      ...{ millis, wins },
    }))).threads;
  assert.equal(choose(), 0);
  assert.equal(choose([97.5, 1]), 0);
  assert.equal(choose([96, 1]), 1);
  assert.equal(choose([50, 0.7]), 0, "noise");
  assert.equal(choose([90, 0.75], [80, 0.8], [70, 0.5], [85, 1]), 2);
});

testOnGpu("timeKernels() times every choice", async () => {
  using device = await Device.open({ gpu: GPU });
  const timings = await timeKernels(GPU);
  assert.deepEqual(timings.map(({ choice }) => choice), kernelChoices(device));
  const meaningful = ({ millis, wins }: typeof timings[number]) => millis > 0 && wins >= 0 && wins <= 1;
  assert.ok(timings.length === 1 || timings.every(meaningful), JSON.stringify(timings));
});

testOnGpu("deviceKey() names the device and the kernels", async () => {
  const key = await deviceKey(GPU);
  using device = await Device.open({ gpu: GPU });
  assert.ok(key!.device.startsWith(`${GPU}: ${device.name} (`), key!.device);
  assert.match(key!.kernels, /^[0-9a-f]{16}$/);
});

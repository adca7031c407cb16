/** wgpu-native computes what Deno's own WebGPU does on the same adapter, to the bit: half of the table of cases, shared out to the variants. */
import { strict as assert } from "node:assert";
import { readLimits } from "../../../src/backend/webgpu/adapters.ts";
import { openProvider } from "../../../src/backend/webgpu/provider.ts";
import { WebGpuBackend } from "../../../src/backend/webgpu/webgpu_backend.ts";
import { CASES, runCase } from "../cases.ts";
import { deviceOf, raisedLimits, VARIANTS } from "../webgpu_device.ts";
import { testOnNative } from "./library.ts";

/** Every case on every variant would take minutes. */
const SHARES = 2 * VARIANTS.length;

/** As `deviceOf` opens one of Deno's. */
async function nativeDevice(features: readonly string[]): Promise<GPUDevice> {
  const adapter = (await openProvider("wgpu-native").adapter())!;
  const limits = readLimits(adapter.limits);
  return await adapter.requestDevice({
    requiredFeatures: features as GPUFeatureName[],
    requiredLimits: Object.fromEntries(raisedLimits(features).map((name) => [name, limits[name]!])),
  });
}

VARIANTS.forEach(({ name, features, missing }, variant) => {
  testOnNative(`every operation ${name} gives the bits that Deno's WebGPU gives`, async () => {
    using builtIn = await WebGpuBackend.open({ gpu: "deno", device: await deviceOf(features) });
    using native = await WebGpuBackend.open({ gpu: "wgpu-native", device: await nativeDevice(features) });
    assert.equal(native.device, builtIn.device);
    assert.equal(native.synchronous, true);
    for (const opCase of CASES.filter((_, i) => i % SHARES === variant)) {
      const [expected, actual] = [await runCase(builtIn, opCase), await runCase(native, opCase)];
      actual.forEach((results, step) =>
        results.forEach((result, i) =>
          assert.deepEqual(new Uint8Array(result), new Uint8Array(expected[step]![i]!), `${opCase.name}, step ${step}`)
        )
      );
    }
  }, missing);
});

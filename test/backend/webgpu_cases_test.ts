/** The table of cases on the WebGPU backend: the float64 loops' results in every variant, and from another provider the bits that Deno's own gives. */
import { strict as assert } from "node:assert";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { ALIKE, BUILT_IN, GPU, testOnGpu } from "../gpu.ts";
import { CASES, checkCase, runCase } from "./cases.ts";
import { VARIANTS, viewOf } from "./webgpu_device.ts";

const bytes = (results: ArrayBuffer[][]) => results.map((step) => step.map((result) => new Uint8Array(result)));

for (const { name, features, missing } of VARIANTS) {
  const also = ALIKE ? ", and the bits of Deno's own WebGPU" : "";
  testOnGpu(`every operation ${name} gives the float64 loops' results${also}`, async () => {
    using backend = await WebGpuBackend.open({ gpu: GPU, device: await viewOf(features) });
    using builtIn = ALIKE
      ? await WebGpuBackend.open({ gpu: BUILT_IN, device: await viewOf(features, BUILT_IN) })
      : null;
    if (builtIn) assert.equal(backend.device, builtIn.device);
    for (const opCase of CASES) {
      const results = await checkCase(backend, opCase);
      if (builtIn) assert.deepEqual(bytes(results), bytes(await runCase(builtIn, opCase)), opCase.name);
    }
  }, missing);
}

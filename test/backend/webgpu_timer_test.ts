/** The device's own clock around a run. */
import { strict as assert } from "node:assert";
import type { Tensor } from "../../src/backend/tensor.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { GPU, testOnGpu } from "../gpu.ts";

testOnGpu("run() tells GPU milliseconds if it was opened to measure them, and null otherwise", async () => {
  for (const timed of [true, false]) {
    using backend = await WebGpuBackend.open({ gpu: GPU, timed });
    const [hidden, x] = ["hidden", "x"].map((label) => backend.tensor(label, "f32", [64, 64])) as [Tensor, Tensor];
    const weight = { values: backend.tensor("weight", "bf16", [64, 64]), scales: null };
    const plan = backend.record({ rows: 64, segments: 1, outputs: 0 }, (ops) => {
      ops.projectAdd(hidden, x, { weight, bias: null });
    });
    const step = { segments: [{ slot: 0, start: 0, rows: 64 }], outputs: new Uint32Array(), rows: new Uint32Array() };
    const begun = performance.now();
    const results = await backend.run(plan, step, [{ tensor: hidden, elements: 64 }]);
    const wall = performance.now() - begun;
    assert.deepEqual(results.map(({ byteLength }) => byteLength), [256]);
    if (timed) assert.ok(backend.gpuMillis! > 0 && backend.gpuMillis! < wall, `${backend.gpuMillis} of ${wall} ms`);
    else assert.equal(backend.gpuMillis, null);
  }
});

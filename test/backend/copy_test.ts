/** copy() on every backend: the first elements and no others, also where tensors lie in several buffers. */
import { strict as assert } from "node:assert";
import type { Backend } from "../../src/backend/backend.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { testOnBackends } from "./backends.ts";
import { GPU, testOnGpu } from "../gpu.ts";

const [ROWS, WIDTH] = [7, 64];

async function check(backend: Backend): Promise<void> {
  const tensors = ["from", "to"].map((label) => backend.tensor(label, "f32", [ROWS, WIDTH]));
  const [from, to] = tensors as [typeof tensors[0], typeof tensors[0]];
  const values = (first: number) => Float32Array.from({ length: ROWS * WIDTH }, (_, i) => first + i);
  for (const rows of [1, 5, ROWS]) {
    await backend.write(from, 0, new Uint8Array(values(rows).buffer));
    await backend.write(to, 0, new Uint8Array(values(-1000).buffer));
    await backend.copy(from, to, rows * WIDTH);
    const read = await backend.read([from, to].map((tensor) => ({ tensor, elements: ROWS * WIDTH })));
    const [left, copied] = read.map((bytes) => [...new Float32Array(bytes)]);
    assert.deepEqual(left, [...values(rows)]);
    assert.deepEqual(copied, [...values(rows).subarray(0, rows * WIDTH), ...values(-1000).subarray(rows * WIDTH)]);
  }
}

testOnBackends("copy() copies the first elements", async ({ open }) => {
  using backend = await open();
  await check(backend);
});

testOnGpu("copy() copies tensors of several buffers", async () => {
  using backend = await WebGpuBackend.open({ gpu: GPU, maxBindingBytes: 3 * WIDTH * 4 });
  await check(backend);
});

/** A backend with a step of two rows that come back as they were given. */
import type { GpuProvider } from "../../src/pipeline/messages.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";

/** What comes back. */
export const ROWS = [0, 1, 2, 3, 4, 5, 6, 7];

export async function openEcho(gpu: GpuProvider, device: GPUDevice) {
  const backend = await WebGpuBackend.open({ gpu, device });
  const hidden = backend.tensor("hidden", "f32", [2, 4]);
  const plan = backend.record({ rows: 2, segments: 1, outputs: 0 }, (ops) => ops.receive(hidden));
  const rows = Float32Array.from(ROWS);
  const step = { segments: [{ slot: 0, start: 0, rows: 2 }], outputs: new Uint32Array(), rows };
  const run = async () => [...new Float32Array((await backend.run(plan, step, [{ tensor: hidden, elements: 8 }]))[0]!)];
  return { backend, run };
}

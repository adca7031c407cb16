/** Adapters of Dawn, and reading its buffers. */
import { openDawn } from "./dawn/library.ts";
import type { NamedAdapter } from "./provider.ts";

export async function dawnAdapter(): Promise<GPUAdapter | null> {
  return await openDawn().gpu.requestAdapter({ powerPreference: "high-performance" });
}

/** It tells of the best one only. */
export async function dawnAdapters(): Promise<NamedAdapter[]> {
  const adapter = await dawnAdapter();
  return adapter ? [{ provider: "dawn", adapter }] : [];
}

/** Between two looks at what the GPU has done the thread sleeps for a part of the time that it has waited; in milliseconds at most. */
const SLEEP = { part: 1 / 16, most: 1 };

const nobody = new Int32Array(new SharedArrayBuffer(4));

/** Waits for the submission that fills the buffer, and no later one: what is to follow may be submitted before. */
export function readDawn(buffer: GPUBuffer, bytes: number, submit = () => {}): ArrayBuffer {
  const { ticks } = openDawn();
  buffer.mapAsync(GPUMapMode.READ, 0, bytes).catch(() => {});
  submit();
  const begun = performance.now();
  while (buffer.mapState === "pending" && ticks.give()) {
    if (buffer.mapState !== "pending") break;
    Atomics.wait(nobody, 0, 0, Math.min(SLEEP.most, SLEEP.part * (performance.now() - begun)));
  }
  const copy = buffer.getMappedRange(0, bytes).slice(0);
  buffer.unmap();
  return copy;
}

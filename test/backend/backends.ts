/** The backends that tests run on: WASM everywhere, WebGPU where there is any adapter, software ones included. */
import type { Backend } from "../../src/backend/backend.ts";
import { listAdapters } from "../../src/backend/webgpu/adapters.ts";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { Device } from "../../src/backend/webgpu/device.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { SharedDevice } from "./shared_device.ts";

export interface TestedBackend {
  readonly name: "wasm" | "webgpu";
  readonly open: () => Promise<Backend>;
  /** Why its tests cannot run here, or null. */
  readonly missing: string | null;
}

const adapters = await listAdapters();

/** All backends of a test file have one. */
let shared: Promise<SharedDevice> | null = null;
Deno.test.afterAll(async () => (await shared)?.[Symbol.dispose]());

async function openWebGpu(): Promise<Backend> {
  shared ??= Device.open({ gpu: "deno" }).then(({ gpu }) => new SharedDevice(gpu));
  return await WebGpuBackend.open({ gpu: "deno", device: (await shared).view() });
}

export const BACKENDS: readonly TestedBackend[] = [
  { name: "wasm", open: () => WasmBackend.open(), missing: null },
  {
    name: "webgpu",
    open: openWebGpu,
    missing: adapters.length > 0
      ? null
      : "there is no WebGPU adapter (on Debian, apt-get install mesa-vulkan-drivers gives a software one)",
  },
];

/**
 * Declares a test for every backend. Where a backend, or what else the test needs, is `missing`, the test is skipped and
 * its name says why.
 */
export function testOnBackends(
  name: string,
  test: (backend: TestedBackend) => Promise<void>,
  missing: string | null = null,
): void {
  for (const backend of BACKENDS) {
    const reason = backend.missing ?? missing;
    const skipped = reason === null ? "" : ` (skipped: ${reason})`;
    Deno.test({ name: `${name} on ${backend.name}${skipped}`, ignore: reason !== null, fn: () => test(backend) });
  }
}

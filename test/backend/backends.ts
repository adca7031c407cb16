/** The backends that tests run on: WASM everywhere, WebGPU where there is any adapter, software ones included. */
import type { Backend } from "../../src/backend/backend.ts";
import { listAdapters } from "../../src/backend/webgpu/adapters.ts";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";

export interface TestedBackend {
  readonly name: "wasm" | "webgpu";
  readonly open: () => Promise<Backend>;
  /** Why its tests cannot run here, or null. */
  readonly missing: string | null;
}

const adapters = await listAdapters();

export const BACKENDS: readonly TestedBackend[] = [
  { name: "wasm", open: () => WasmBackend.open(), missing: null },
  {
    name: "webgpu",
    open: () => WebGpuBackend.open({ gpu: "deno" }),
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

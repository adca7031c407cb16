/** The backends that tests run on: WASM everywhere, WebGPU where its provider has an adapter, software ones included. */
import type { Backend } from "../../src/backend/backend.ts";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { Device } from "../../src/backend/webgpu/device.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { SharedDevice } from "./shared_device.ts";
import { BUILT_IN, GPU, MISSING } from "../gpu.ts";

export interface TestedBackend {
  readonly name: "wasm" | "webgpu";
  readonly open: () => Promise<Backend>;
  /** Why its tests cannot run here, or null. */
  readonly missing: string | null;
}

/** All backends of a test file have one. */
let shared: Promise<SharedDevice> | null = null;
Deno.test.afterAll(async () => (await shared)?.[Symbol.dispose]());

async function openWebGpu(): Promise<Backend> {
  shared ??= Device.open({ gpu: GPU }).then(({ gpu }) => new SharedDevice(gpu));
  return await WebGpuBackend.open({ gpu: GPU, device: (await shared).view() });
}

const WASM: TestedBackend = { name: "wasm", open: () => WasmBackend.open(), missing: null };
const WEBGPU: TestedBackend = { name: "webgpu", open: openWebGpu, missing: MISSING };

/** All that can compute here. */
export const BACKENDS: readonly TestedBackend[] = [WASM, WEBGPU].filter(({ missing }) => missing === null);

type Test = (backend: TestedBackend) => Promise<void>;

/**
 * Declares a test for every backend. Where a backend, or what else the test needs, is `missing`, the test is skipped and
 * its name says why.
 */
export function testOnBackends(name: string, test: Test, missing: string | null = null): void {
  testOnWasm(name, test, missing);
  declare(WEBGPU, name, test, missing);
}

/** Declares a test for WASM, unless another provider's GPUs are tested: WASM was before. */
export function testOnWasm(name: string, test: Test, missing: string | null = null): void {
  if (GPU === BUILT_IN) declare(WASM, name, test, missing);
}

function declare(backend: TestedBackend, name: string, test: Test, missing: string | null): void {
  const reason = backend.missing ?? missing;
  const skipped = reason === null ? "" : ` (skipped: ${reason})`;
  Deno.test({ name: `${name} on ${backend.name}${skipped}`, ignore: reason !== null, fn: () => test(backend) });
}

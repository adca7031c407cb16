/** Chooses who computes. */
import type { Backend } from "../backend/backend.ts";
import { WasmBackend } from "../backend/wasm/wasm_backend.ts";
import { WebGpuBackend } from "../backend/webgpu/webgpu_backend.ts";
import type { StageInfo, StageOptions } from "../pipeline/messages.ts";

export function openBackend(
  { backend, gpu, profile = false, kernels, threadPorts, memoryBytes }: StageOptions,
): Promise<Backend> {
  switch (backend) {
    case "wasm":
      return WasmBackend.open(threadPorts, undefined, memoryBytes);
    case "webgpu":
      return WebGpuBackend.open({ gpu, timed: profile, ...(kernels && { kernels }) });
    default:
      return backend satisfies never;
  }
}

/** What a stage says of its device. */
export function deviceInfo(
  { device, decodeRows }: Backend,
  { backend, gpu }: StageOptions,
): Pick<StageInfo, "backend" | "device" | "gpu" | "decodeRows"> {
  return {
    ...{ backend, device },
    ...(backend === "webgpu" && { gpu }),
    ...(Number.isFinite(decodeRows) && { decodeRows }),
  };
}

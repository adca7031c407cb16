/** What a device can do at best, measured. */
import { measureWasm } from "../backend/wasm/ceilings.ts";
import { measureWebGpu } from "../backend/webgpu/ceilings.ts";
import type { StageOptions } from "../pipeline/messages.ts";

export interface Ceilings {
  /** The device's own name. */
  readonly device: string;
  /** Bytes a second that are read from memory, far more of them than caches hold. */
  readonly bandwidth: number;
  /** f32 operations a second, a multiplication and an addition counted as two. */
  readonly flops: number;
  /** Milliseconds of a dispatch that does nothing but wait for the one before; null where there are none. */
  readonly dispatchMillis: number | null;
}

/** Takes a second, and frees all that it took. */
export function measureDevice(
  { backend, gpu, threads }: Pick<StageOptions, "backend" | "gpu"> & { readonly threads: number },
): Promise<Ceilings> {
  switch (backend) {
    case "wasm":
      return measureWasm(threads);
    case "webgpu":
      return measureWebGpu(gpu);
    default:
      return backend satisfies never;
  }
}

/** Where a GPU object comes from. */
import type { GpuProvider } from "../../pipeline/messages.ts";

export interface Provider {
  readonly gpu: GPU;
  /** Lines that its shader compiler wants at the top of a shader that uses subgroups. */
  readonly subgroupEnables: readonly string[];
}

/**
 * The WebGPU implementation of that name.
 * @throws {RangeError} if there is none
 */
export function openProvider(name: GpuProvider): Provider {
  if (name !== "deno") {
    throw new RangeError(
      `Cannot use "${name}" as the GPU provider: only "deno", the built-in one, is there; leave --gpu out`,
    );
  }
  // naga knows the subgroup functions without the line `enable subgroups;`, which it refuses.
  return { gpu: navigator.gpu, subgroupEnables: [] };
}

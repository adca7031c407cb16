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
  silenceDriver();
  // naga knows the subgroup functions without the line `enable subgroups;`, which it refuses.
  return { gpu: navigator.gpu, subgroupEnables: [] };
}

/** Without this variable the system's GPU libraries write complaints to our stderr; any folder will do. */
function silenceDriver(): void {
  if (Deno.build.os === "linux" && !Deno.env.has("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
}

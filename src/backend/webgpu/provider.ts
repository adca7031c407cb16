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
  spareDriverThreads(navigator.hardwareConcurrency);
  // naga knows the subgroup functions without the line `enable subgroups;`, which it refuses.
  return { gpu: navigator.gpu, subgroupEnables: [] };
}

/** Without this variable the system's GPU libraries write complaints to our stderr; any folder will do. */
function silenceDriver(): void {
  if (Deno.build.os === "linux" && !Deno.env.has("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
}

/** Processors from which on threads of llvmpipe, software Vulkan, save more than it takes to wake them. */
const ENOUGH_PROCESSORS = 3;

/**
 * llvmpipe wakes all of its threads for every dispatch and waits for them, which costs more than two of them save where dispatches are
 * as small as decode's. It reads this variable when the first adapter is asked for; with 0 the thread that submits computes.
 */
export function spareDriverThreads(processors: number): void {
  if (processors >= ENOUGH_PROCESSORS || Deno.env.has("LP_NUM_THREADS")) return;
  Deno.env.set("LP_NUM_THREADS", "0");
}

/** The GPUs that tests compute on: those of Deno's own WebGPU, or of another provider with `deno test … -- --gpu wgpu-native`. */
import { parseArgs } from "node:util";
import { openProvider } from "../src/backend/webgpu/provider.ts";
import type { GpuProvider } from "../src/pipeline/messages.ts";

/** Deno's own WebGPU. */
export const BUILT_IN = "deno";

const { values, positionals } = parseArgs({
  args: Deno.args,
  options: { gpu: { type: "string", default: BUILT_IN } },
  allowPositionals: true,
});

/** The provider; every test that opens a GPU takes it from here. */
export const GPU = values.gpu as GpuProvider;

/** Arguments that are no options. */
export const PATHS: readonly string[] = positionals;

/** Whether it computes what Deno's own WebGPU does, to the bit: by another binding of the same wgpu-core. */
export const ALIKE: boolean = GPU.startsWith("wgpu-native");

// On any computer, that there be software Vulkan whose workgroups follow each other: it has kernels of its own. Others are chosen for
// weights of several types. `deno task test` says so before any file does, as they run beside each other in one process.
if (!Deno.env.has("LP_NUM_THREADS")) Deno.env.set("LP_NUM_THREADS", "0");

const NO_ADAPTER = `there is no adapter of ${GPU}; on Debian, apt-get install mesa-vulkan-drivers gives a software one`;

/** Why nothing can be computed on the provider's GPUs here, or null. */
export const MISSING: string | null = await (async () => {
  try {
    return await openProvider(GPU).adapter() ? null : NO_ADAPTER;
  } catch (error) {
    return (error as Error).message;
  }
})();

/** Declares a test that needs a GPU, software ones included, and nothing that is `missing`. Its name says why it is skipped. */
export function testOnGpu(name: string, fn: () => Promise<void>, missing: string | null = null): void {
  declare(name, fn, MISSING ?? missing);
}

/** Declares a test of Deno's own WebGPU itself, which needs nothing that is `missing`. */
export function testOnBuiltIn(name: string, fn: () => Promise<void>, missing: string | null = null): void {
  declare(name, fn, GPU === BUILT_IN ? missing : "it is about Deno's own WebGPU");
}

function declare(name: string, fn: () => Promise<void>, missing: string | null): void {
  Deno.test({ name: missing === null ? name : `${name} (skipped: ${missing})`, ignore: missing !== null, fn });
}

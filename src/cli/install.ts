/** `ringlet devices --install`: fetches what a GPU provider needs, and says before what it fetches from where. */
import type { InstallableGpu } from "../mod.ts";
import type { Host } from "./host.ts";
import { interruptible } from "./interrupt.ts";
import { bytes, withProgress } from "./progress.ts";

/** @throws with one sentence if there is nothing for this computer, or it cannot be fetched */
export async function installLibrary(gpu: InstallableGpu, { terminal, ...host }: Host): Promise<void> {
  const { name, version, url, bytes: size } = host.plannedGpuInstallation(gpu);
  terminal.note(`Fetching ${name} ${version}, ${bytes(size)}, from ${url}\n`);
  const path = await interruptible((signal) =>
    withProgress(terminal, "Fetching", (onProgress) => host.installGpu(gpu, onProgress, signal))
  );
  terminal.write(`${path}\n`);
}

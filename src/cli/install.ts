/** `ringlet devices --install`: fetches what a GPU provider needs, and says before what it fetches from where. */
import type { Host } from "./host.ts";
import { interruptible } from "./interrupt.ts";
import { bytes, withProgress } from "./progress.ts";

/** @throws with one sentence if there is nothing for this computer, or it cannot be fetched */
export async function installWgpuNative({ terminal, ...host }: Host): Promise<void> {
  const { version, url, bytes: size } = host.plannedGpuInstallation();
  terminal.note(`Fetching wgpu-native ${version}, ${bytes(size)}, from ${url}\n`);
  const path = await interruptible((signal) =>
    withProgress(terminal, "Fetching", (onProgress) => host.installGpu(onProgress, signal))
  );
  terminal.write(`${path}\n`);
}

/** Which providers and drivers are installed, and as which: files are looked at, nothing is opened. */
import { join } from "node:path";
import type { GpuProvider } from "../../pipeline/messages.ts";
import { dawnFile } from "./dawn/library.ts";
import { DRIVER_FOLDERS, DRIVER_VARIABLES } from "./provider.ts";
import { findLibrary } from "./wgpu_native/find.ts";

/** A provider, and what tells its library from another one; or why it has none. */
export interface Installed {
  readonly provider: GpuProvider;
  readonly library: string | null;
  readonly missing: string | null;
}

/** All providers, the built-in one first. */
export function installedProviders(): Installed[] {
  return [
    { provider: "deno", library: `Deno ${Deno.version.deno}`, missing: null },
    installed("wgpu-native", findLibrary),
    installed("dawn", dawnFile),
  ];
}

function installed(provider: GpuProvider, find: () => string): Installed {
  try {
    return { provider, library: `${provider} ${stamp(find())}`, missing: null };
  } catch (error) {
    return { provider, library: null, missing: error instanceof Error ? error.message : String(error) };
  }
}

/** Another where drivers are updated: the system's release, NVIDIA's own, and on Linux the descriptions of Vulkan's. */
export function installedDrivers(): string {
  const variables = DRIVER_VARIABLES.map((name) => Deno.env.get(name)).filter((value) => value !== undefined);
  const files = DRIVER_FOLDERS.flatMap((folder) =>
    orNone(() => [...Deno.readDirSync(folder)], [])
      .map(({ name }) => join(folder, name)).sort()
  );
  const nvidia = orNone(() => Deno.readTextFileSync("/proc/driver/nvidia/version").split("\n").slice(0, 1), []);
  const release = orNone(() => Deno.osRelease(), "");
  return [`${Deno.build.os} ${release}`, ...nvidia, ...variables, ...files.map(stamp)].join(", ");
}

/** A file as it is now. */
function stamp(path: string): string {
  const file = orNone(() => Deno.statSync(path), null);
  return `${path} (${file?.size} bytes, ${file?.mtime?.toISOString()})`;
}

/** What cannot be read is as good as not there. */
function orNone<T>(read: () => T, none: T): T {
  try {
    return read();
  } catch {
    return none;
  }
}

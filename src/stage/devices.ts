/** What could run a stage: the GPUs of each provider, named as the command line names them. */
import { hasHardwareGpu, listAdapters } from "../backend/webgpu/adapters.ts";
import { findDawn } from "../backend/webgpu/dawn/find.ts";
import * as dawn from "../backend/webgpu/dawn/install.ts";
import { deviceIdentity } from "../backend/webgpu/identity.ts";
import type { Installation as GpuInstallation, OnProgress } from "../backend/webgpu/libraries/pinned.ts";
import * as wgpuNative from "../backend/webgpu/wgpu_native/install.ts";
import type { GpuProvider } from "../pipeline/messages.ts";

export { deviceIdentity, hasHardwareGpu };
export type { Installation as GpuInstallation } from "../backend/webgpu/libraries/pinned.ts";

/** Providers whose libraries can be fetched. */
const LIBRARIES = { "wgpu-native": wgpuNative, dawn } as const;

export type InstallableGpu = keyof typeof LIBRARIES;

/** What would be fetched for this computer, from where; throws in one sentence if nothing can be. */
export function plannedGpuInstallation(gpu: InstallableGpu): GpuInstallation {
  return LIBRARIES[gpu].plannedInstallation();
}

/** Fetches a provider's library; returns its file. */
export async function installGpu(gpu: InstallableGpu, onProgress?: OnProgress, signal?: AbortSignal): Promise<string> {
  return await LIBRARIES[gpu].install(onProgress, signal);
}

/** One adapter, or why a provider has none. */
export interface DeviceInfo {
  readonly provider: GpuProvider;
  readonly name: string;
  readonly vendor: string;
  readonly backend: "webgpu";
  /** False for adapters that compute on the CPU. */
  readonly hardware: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  readonly error?: string;
}

const NONE =
  "no adapter was found: install the GPU's Vulkan driver (or mesa-vulkan-drivers, which computes on the CPU)";

/** Every adapter there is, those of Dawn where it is installed; a provider without one is listed with the reason. */
export async function listDevices(): Promise<DeviceInfo[]> {
  const providers: readonly GpuProvider[] = ["deno", "wgpu-native", ...findDawn() === null ? [] : ["dawn" as const]];
  return (await Promise.all(providers.map(devicesOf))).flat();
}

async function devicesOf(provider: GpuProvider): Promise<DeviceInfo[]> {
  try {
    const adapters = await listAdapters(provider);
    if (adapters.length === 0) return [missing(provider, NONE)];
    return adapters.map(({ software, ...adapter }) => ({ ...adapter, backend: "webgpu", hardware: !software }));
  } catch (error) {
    return [missing(provider, error instanceof Error ? error.message : String(error))];
  }
}

function missing(provider: GpuProvider, error: string): DeviceInfo {
  return { provider, name: "", vendor: "", backend: "webgpu", hardware: false, features: [], limits: {}, error };
}

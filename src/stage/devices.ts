/** What could run a stage: the GPUs of each provider, named as the command line names them. */
import { hasHardwareGpu, listAdapters } from "../backend/webgpu/adapters.ts";
import type { GpuProvider } from "../pipeline/messages.ts";

export { hasHardwareGpu };
export {
  install as installGpu,
  type Installation as GpuInstallation,
  plannedInstallation as plannedGpuInstallation,
} from "../backend/webgpu/wgpu_native/install.ts";

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

/** Every adapter there is; a provider without one is listed with the reason. */
export async function listDevices(): Promise<DeviceInfo[]> {
  return [...await devicesOf("deno"), ...await devicesOf("wgpu-native")];
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

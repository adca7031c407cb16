/** Which GPUs there are. */
import { openProvider } from "./provider.ts";
import type { GpuProvider } from "../../pipeline/messages.ts";

/** One adapter, as the command `devices` lists it. */
export interface AdapterDescription {
  readonly provider: GpuProvider;
  readonly name: string;
  /** The vendor's name, or its PCI number as text. */
  readonly vendor: string;
  /** Computed by the CPU. */
  readonly software: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

/** Names of software drivers; adapters do not always say that they are none. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|basic render/i;

/** PCI vendor numbers. */
const VENDORS: Readonly<Record<string, string>> = {
  "4098": "AMD",
  "4203": "Apple",
  "4318": "NVIDIA",
  "5045": "ARM",
  "32902": "Intel",
  "65541": "Mesa",
};

/** The adapter's own name. */
export function adapterName({ description, device, vendor }: GPUAdapterInfo): string {
  return description || device || vendor || "unnamed GPU";
}

/** Whether an adapter computes on the CPU. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  return info.isFallbackAdapter || SOFTWARE.test(adapterName(info));
}

/** Every adapter that a provider names under some wish; [] where there is none. */
export async function listAdapters(provider: GpuProvider = "deno"): Promise<AdapterDescription[]> {
  const { gpu } = openProvider(provider);
  const wishes: GPURequestAdapterOptions[] = [
    { powerPreference: "high-performance" },
    { powerPreference: "low-power" },
    { forceFallbackAdapter: true },
  ];
  const found = new Map<string, AdapterDescription>();
  for (const wish of wishes) {
    const adapter = await gpu?.requestAdapter(wish);
    if (adapter) found.set(adapterName(adapter.info), describe(provider, adapter));
  }
  return [...found.values()];
}

function describe(provider: GpuProvider, { info, features, limits }: GPUAdapter): AdapterDescription {
  return {
    provider,
    name: adapterName(info),
    vendor: VENDORS[info.vendor] ?? info.vendor,
    software: isSoftware(info),
    features: [...features].sort(),
    limits: readLimits(limits),
  };
}

/** Limits as a plain object; they are properties of the prototype. */
export function readLimits(limits: GPUSupportedLimits): Record<string, number> {
  const names: string[] = [];
  for (const name in limits) names.push(name);
  const values = limits as unknown as Record<string, unknown>;
  return Object.fromEntries(names.map((name) => [name, values[name]]).filter(([, value]) => typeof value === "number"));
}

/** Whether some adapter is more than the CPU in disguise. */
export async function hasHardwareGpu(provider: GpuProvider = "deno"): Promise<boolean> {
  return (await listAdapters(provider)).some(({ software }) => !software);
}

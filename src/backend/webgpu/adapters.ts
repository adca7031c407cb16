/** Which GPUs there are. */
import { type NamedAdapter, openProvider } from "./provider.ts";
import type { GpuProvider } from "../../pipeline/messages.ts";

/** One adapter, as the command `devices` lists it. */
export interface AdapterDescription {
  readonly provider: GpuProvider;
  readonly name: string;
  /** The vendor's name, or what the adapter has for it. */
  readonly vendor: string;
  /** Computed by the CPU. */
  readonly software: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

/** Names of software drivers; adapters do not always say that they are none. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|basic render/i;

/** Vendors by their PCI numbers, and as WebGPU writes them. */
const VENDORS: Readonly<Record<string, string>> = {
  "4098": "AMD",
  "4203": "Apple",
  "4318": "NVIDIA",
  "5045": "ARM",
  "32902": "Intel",
  "65541": "Mesa",
  amd: "AMD",
  apple: "Apple",
  nvidia: "NVIDIA",
  arm: "ARM",
  intel: "Intel",
  mesa: "Mesa",
};

/** The adapter's own name. Where `device` is no PCI number it has that name, and `description` tells of the driver. */
export function adapterName({ description, device, vendor }: GPUAdapterInfo): string {
  const name = /^\d*$/.test(device) ? description : device;
  return name || device || vendor || "unnamed GPU";
}

/** Whether an adapter computes on the CPU. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  return info.isFallbackAdapter || SOFTWARE.test(adapterName(info));
}

/** Every adapter that a provider tells of, once each; [] where there is none. */
export async function listAdapters(provider: GpuProvider = "deno"): Promise<AdapterDescription[]> {
  const all = (await openProvider(provider).adapters()).map(describe);
  return [...new Map(all.map((each) => [`${each.provider}: ${each.name}`, each])).values()];
}

function describe({ provider, adapter: { info, features, limits } }: NamedAdapter): AdapterDescription {
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

/** Whether the adapter that a provider would compute on is more than the CPU in disguise. */
export async function hasHardwareGpu(provider: GpuProvider = "deno"): Promise<boolean> {
  const adapter = await openProvider(provider).adapter();
  return adapter !== null && !isSoftware(adapter.info);
}

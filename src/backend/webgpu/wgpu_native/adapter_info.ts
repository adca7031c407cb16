/** What the library tells of an adapter or a device. */
import { textAt } from "./callbacks.ts";
import type { Symbols } from "./library.ts";
import { ENUMS, FEATURES, STRUCTS } from "./webgpu_h.ts";

export type LimitName = Exclude<keyof typeof STRUCTS.Limits.fields, "nextInChain">;

export const LIMITS = Object.entries(STRUCTS.Limits.fields).filter(([name]) => name !== "nextInChain") as [
  LimitName,
  readonly [number, "u32" | "u64"],
][];

/** As the standard's GPUAdapterInfo, in Deno's way: vendor and device are PCI numbers. What else the library tells is beside. */
export interface AdapterInfo extends GPUAdapterInfo {
  /** `Vulkan`, `Metal` or `D3D12`. */
  readonly backend: string;
  /** `DiscreteGPU`, `IntegratedGPU`, `CPU` or `Unknown`. */
  readonly type: string;
  readonly driver: string;
}

export function readInfo(symbols: Symbols, adapter: Deno.PointerValue): AdapterInfo {
  const bytes = new Uint8Array(STRUCTS.AdapterInfo.size);
  symbols.wgpuAdapterGetInfo(adapter, bytes);
  const view = new DataView(bytes.buffer);
  const { fields } = STRUCTS.AdapterInfo;
  const number = (name: keyof typeof fields) => view.getUint32(fields[name][0], true);
  const text = (name: "vendor" | "device" | "description") =>
    textAt(view.getBigUint64(fields[name][0], true), Number(view.getBigUint64(fields[name][0] + 8, true)));
  const type = number("adapterType");
  const info = {
    vendor: String(number("vendorID")),
    architecture: "",
    device: String(number("deviceID")),
    description: text("device"),
    driver: [text("vendor"), text("description")].filter((each) => each !== "").join(" "),
    subgroupMinSize: number("subgroupMinSize"),
    subgroupMaxSize: number("subgroupMaxSize"),
    isFallbackAdapter: type === ENUMS.AdapterType.CPU,
    backend: nameOf(ENUMS.BackendType, number("backendType")),
    type: nameOf(ENUMS.AdapterType, type),
  };
  symbols.wgpuAdapterInfoFreeMembers(bytes);
  return info;
}

export function readFeatures(symbols: Symbols, read: (into: Uint8Array<ArrayBuffer>) => void): ReadonlySet<string> {
  const bytes = new Uint8Array(STRUCTS.SupportedFeatures.size);
  read(bytes);
  const view = new DataView(bytes.buffer);
  const count = Number(view.getBigUint64(STRUCTS.SupportedFeatures.fields.featureCount[0], true));
  const at = Deno.UnsafePointer.create(view.getBigUint64(STRUCTS.SupportedFeatures.fields.features[0], true));
  const values = at && count > 0 ? new Uint32Array(Deno.UnsafePointerView.getArrayBuffer(at, 4 * count)).slice() : [];
  symbols.wgpuSupportedFeaturesFreeMembers(bytes);
  const names = new Map(Object.entries(FEATURES).map(([name, value]) => [value, name]));
  return new Set([...values].flatMap((value) => names.get(value as never) ?? []));
}

export function readLimits(read: (into: Uint8Array<ArrayBuffer>) => void): GPUSupportedLimits {
  const bytes = new Uint8Array(STRUCTS.Limits.size);
  read(bytes);
  const view = new DataView(bytes.buffer);
  const limits = LIMITS.map(([name, [offset, kind]]) =>
    [name, kind === "u32" ? view.getUint32(offset, true) : Number(view.getBigUint64(offset, true))] as const
  );
  return Object.freeze(Object.fromEntries(limits)) as unknown as GPUSupportedLimits;
}

const nameOf = (values: Readonly<Record<string, number>>, value: number) =>
  Object.entries(values).find(([, each]) => each === value)?.[0] ?? "Unknown";

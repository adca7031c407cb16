/** Where GPUs come from. */
import type { GpuProvider } from "../../pipeline/messages.ts";
import { dawnAdapter, dawnAdapters, readDawn } from "./dawn_provider.ts";
import { nativeAdapter, nativeAdapters, readNative } from "./native_provider.ts";
import { readMapped, type ReadNow } from "./read_now.ts";

/** An adapter, and the provider's name with which this one is chosen. */
export interface NamedAdapter {
  readonly provider: GpuProvider;
  readonly adapter: GPUAdapter;
}

export interface Provider {
  /** The adapter to compute on, anew each time, as it gives one device only; null if there is none. */
  readonly adapter: () => Promise<GPUAdapter | null>;
  /** All adapters that the provider tells of. */
  readonly adapters: () => Promise<NamedAdapter[]>;
  /** Lines that its shader compiler wants at the top of every shader. */
  readonly enables: readonly string[];
  /** Those that it also wants where a shader uses subgroups. */
  readonly subgroupEnables: readonly string[];
  /** Whether software Vulkan computes in the thread that submits, one workgroup after the other. */
  readonly serial: boolean;
  /** How to read a buffer without awaiting it. */
  readonly readNow: ReadNow;
}

/**
 * The WebGPU implementation of that name.
 * @throws {RangeError} if there is none
 * @throws {LibraryError} if it is a library that cannot be used
 */
export function openProvider(name: GpuProvider): Provider {
  silenceDriver();
  leaveOutOpenGl(hasVulkanDriver());
  spareDriverThreads(navigator.hardwareConcurrency);
  const serial = Deno.env.get("LP_NUM_THREADS") === "0";
  if (name === "dawn") {
    return { ...DAWN_ENABLES, serial, adapter: dawnAdapter, adapters: dawnAdapters, readNow: readDawn };
  }
  // naga, which both have, knows the subgroup functions without the line `enable subgroups;`, which it refuses.
  const naga = { serial, enables: [], subgroupEnables: [] };
  if (name === "deno") return { ...naga, adapter: denoAdapter, adapters: denoAdapters, readNow: readMapped };
  const wanted = name.slice("wgpu-native:".length);
  return { ...naga, adapter: () => nativeAdapter(wanted), adapters: nativeAdapters, readNow: readNative };
}

/**
 * Tint takes whatever is read from memory that is also written for different in each thread, and refuses barriers behind a branch on
 * it, unless told not to.
 */
const DAWN_ENABLES = {
  enables: ["enable chromium_disable_uniformity_analysis;"],
  subgroupEnables: ["enable subgroups;"],
} as const;

async function denoAdapter(): Promise<GPUAdapter | null> {
  return await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }) ?? null;
}

/** Those that Deno gives for some wish. */
async function denoAdapters(): Promise<NamedAdapter[]> {
  const wishes: GPURequestAdapterOptions[] = [
    { powerPreference: "high-performance" },
    { powerPreference: "low-power" },
    { forceFallbackAdapter: true },
  ];
  const found: NamedAdapter[] = [];
  for (const wish of wishes) {
    const adapter = await navigator.gpu?.requestAdapter(wish);
    if (adapter) found.push({ provider: "deno", adapter });
  }
  return found;
}

/** Without this variable the system's GPU libraries write complaints to our stderr; any folder will do. */
function silenceDriver(): void {
  if (Deno.build.os === "linux" && !Deno.env.has("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
}

/** Where Linux has the descriptions of Vulkan drivers. */
export const DRIVER_FOLDERS = ["/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

/** Variables that name such descriptions. */
export const DRIVER_VARIABLES = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

function hasVulkanDriver(): boolean {
  if (Deno.build.os !== "linux") return false;
  return DRIVER_VARIABLES.some((name) => Deno.env.has(name)) || DRIVER_FOLDERS.some(hasEntries);
}

function hasEntries(folder: string): boolean {
  try {
    return !Deno.readDirSync(folder)[Symbol.iterator]().next().done;
  } catch {
    return false;
  }
}

/**
 * Deno looks for OpenGL too, and a process that ends while a thread that has used libEGL does crashes now and then: the library
 * frees what it keeps for each thread, and so does the thread. Read when the first adapter is asked for.
 */
export function leaveOutOpenGl(vulkan: boolean): void {
  if (vulkan && !Deno.env.has("DENO_WEBGPU_BACKEND")) Deno.env.set("DENO_WEBGPU_BACKEND", "vulkan");
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

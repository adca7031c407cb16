/** Settles who computes where that was left to Ringlet: by what was asked for, what is there, and what was measured of it. */
import type { BackendName, GpuProvider } from "../pipeline/messages.ts";
import { hasHardwareGpu } from "../stage/devices.ts";
import { measuredChoice, type OnMeasure, rememberedChoice } from "./measured_providers.ts";
import type { EngineSettings, LoadOptions } from "./options.ts";
import { isGpu, type ProviderChoice } from "./provider_choice.ts";

/** Options that leave open neither who computes nor by which providers. */
export interface Settled {
  readonly backend: BackendName;
  readonly gpu: readonly GpuProvider[];
}

/** Who computes, and in one sentence why; null if the options say so. */
export interface DeviceChoice extends Settled {
  readonly reason: string | null;
}

/** The same options with the choice made. */
export async function settled<Options extends LoadOptions>(options: Options): Promise<Options & Settled> {
  const { backend, gpu } = await chooseDevice(options);
  return { ...options, backend, gpu };
}

/**
 * Who is to compute. Where there is a GPU that is more than the CPU, providers are measured the first time, each for about a second. Where
 * there is none WASM computes, and nothing is measured, unless `ringlet devices` did: software is rarely faster.
 */
export async function chooseDevice(options: EngineSettings, onMeasure: OnMeasure = () => {}): Promise<DeviceChoice> {
  const { backend = "auto", gpu = "auto" } = options;
  if (gpu !== "auto") return await named(backend, gpusOf(options));
  if (backend === "wasm") return { backend, gpu: BUILT_IN, reason: null };
  const known = await rememberedChoice(options);
  if (known !== null) return toDevice(known);
  const hardware = await hasHardwareGpu();
  const choice = hardware ? await measuredChoice(options, onMeasure) : null;
  if (choice !== null) return toDevice(choice);
  const reason = hardware ? "no provider could be measured" : "there is no GPU but what the CPU computes";
  return { backend: hardware || backend === "webgpu" ? "webgpu" : "wasm", gpu: BUILT_IN, reason };
}

const BUILT_IN: readonly GpuProvider[] = ["deno"];

/** Those that are named; else one, whichever will be chosen. */
export const gpusOf = ({ gpu = "auto" }: LoadOptions): readonly GpuProvider[] =>
  gpu === "auto" ? BUILT_IN : typeof gpu === "string" ? [gpu] : gpu;

function toDevice({ computer, reason }: ProviderChoice): DeviceChoice {
  return isGpu(computer) ? { backend: "webgpu", gpu: [computer], reason } : { backend: "wasm", gpu: BUILT_IN, reason };
}

async function named(backend: BackendName | "auto", gpu: readonly GpuProvider[]): Promise<DeviceChoice> {
  const suits = backend === "auto" ? await hasHardwareGpu(gpu[0]) : backend === "webgpu";
  return { backend: suits ? "webgpu" : "wasm", gpu, reason: null };
}

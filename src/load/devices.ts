/** On what a model is opened: the device, its threads, and what is chosen for it by measurement. */
import type { BackendName, GpuProvider, KernelChoice } from "../pipeline/messages.ts";
import { type Ceilings, measureDevice as measure } from "../stage/ceilings.ts";
import { hasHardwareGpu } from "../stage/devices.ts";
import { stageConfig } from "../stage/open.ts";
import { cacheFile, type Measure, type Measurement, Tuning } from "../stage/tuning.ts";
import { EMBEDDED_MODEL, type LoadOptions } from "./options.ts";

/**
 * Rows of one prefill step where they are not measured: sequences that decode meanwhile wait for a step, so that beside
 * others it has few. Without a GPU as many as end soon.
 */
export const CHUNK_ROWS = { alone: 2048, besideOthers: 512, withoutGpu: 256 } as const;

/** What the device that a model would be opened on can do at best; takes a second. */
export async function measureDevice(options: LoadOptions): Promise<Ceilings> {
  return await measure({ backend: await backendOf(options), gpu: firstGpu(options), threads: threadsOf(options) });
}

/** Rows of one prefill step that suit the device, the model and the number of sequences; measured at the first start on a GPU. */
export async function chunkRows(options: LoadOptions): Promise<number> {
  if (await backendOf(options) === "wasm" || !await hasHardwareGpu(firstGpu(options))) return CHUNK_ROWS.withoutGpu;
  if ((options.maxSequences ?? 1) > 1) return CHUNK_ROWS.besideOthers;
  return (await rowsOn(await tuningOf(options, "missing"), options))?.chosen ?? CHUNK_ROWS.alone;
}

/** What was chosen by measurement for the best GPU; null where a choice was not measured. */
export interface DeviceChoices {
  readonly device: string;
  /** Prefill is measured only on hardware. */
  readonly hardware: boolean;
  readonly kernels: Measurement<KernelChoice> | null;
  /** Rows of a prefill step of the model. */
  readonly rows: Measurement<number> | null;
}

/** What is remembered of the best GPU, or with `measure` what it takes now, which is remembered from then on; null if there is none. */
export async function deviceChoices(options: LoadOptions, measure: boolean): Promise<DeviceChoices | null> {
  const tuning = await tuningOf(options, measure ? "everything" : "nothing");
  if (tuning === null) return null;
  const hardware = await hasHardwareGpu(firstGpu(options));
  const kernels = await tuning.kernels();
  return { device: tuning.device, hardware, kernels, rows: hardware ? await rowsOn(tuning, options) : null };
}

export function tuningOf(options: LoadOptions, measure: Measure): Promise<Tuning | null> {
  const { deviceFile } = options;
  return Tuning.of(firstGpu(options), deviceFile ?? cacheFile(Deno.build.os, (name) => Deno.env.get(name)), measure);
}

async function rowsOn(tuning: Tuning | null, options: LoadOptions): Promise<Measurement<number> | null> {
  const { model = EMBEDDED_MODEL, ropeScaling = null, quantize = "none" } = options;
  return await tuning?.rows(await stageConfig({ model, ropeScaling }), quantize) ?? null;
}

export const gpusOf = ({ gpu = "deno" }: LoadOptions): readonly GpuProvider[] => typeof gpu === "string" ? [gpu] : gpu;

/** What is measured on one is chosen for all, so that all stages compute alike. */
export const firstGpu = (options: LoadOptions): GpuProvider => gpusOf(options)[0] ?? "deno";

export async function backendOf(options: LoadOptions): Promise<BackendName> {
  const { backend = "auto" } = options;
  return backend === "auto" ? (await hasHardwareGpu(firstGpu(options)) ? "webgpu" : "wasm") : backend;
}

/** Whether a device's memory is another than the computer's. */
export async function hasOwnMemory(backend: BackendName, gpu?: GpuProvider): Promise<boolean> {
  return backend === "webgpu" && await hasHardwareGpu(gpu);
}

/** Threads of a stage by default at most: what more of them bring has not been measured, and each takes memory and time to start. */
const MOST_THREADS = 16;

/** Threads of each stage: stages on the same processors take turns, in which each has all of these. */
export const threadsOf = ({ threads }: LoadOptions): number =>
  threads ?? Math.min(MOST_THREADS, navigator.hardwareConcurrency);

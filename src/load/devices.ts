/** On what a model is opened: the device, its threads, and what is chosen for it by measurement. */
import type { GpuProvider, KernelChoice } from "../pipeline/messages.ts";
import { type Ceilings, measureDevice as measure } from "../stage/ceilings.ts";
import { hasHardwareGpu } from "../stage/devices.ts";
import { stageConfig } from "../stage/open.ts";
import { type Measure, type Measurement, Tuning } from "../stage/tuning.ts";
import { deviceFileOf } from "./measured_providers.ts";
import { EMBEDDED_MODEL, type EngineSettings, type LoadOptions } from "./options.ts";
import { type Settled, settled } from "./settle.ts";
import { threadsOf } from "./threads.ts";

/**
 * Rows of one prefill step where they are not measured: sequences that decode meanwhile wait for a step, so that beside
 * others it has few. Without a GPU as many as end soon.
 */
export const CHUNK_ROWS = { alone: 2048, besideOthers: 512, withoutGpu: 256 } as const;

/** What the device that a model would be opened on can do at best; takes a second. */
export async function measureDevice(options: LoadOptions): Promise<Ceilings> {
  const { backend, gpu } = await settled(options);
  return await measure({ backend, gpu: firstGpu({ backend, gpu }), threads: await threadsOf(options) });
}

/** Rows of one prefill step that suit the device, the model and the number of sequences; measured at the first start on a GPU. */
export async function chunkRows(options: LoadOptions): Promise<number> {
  const choice = await settled(options);
  if (!await hasOwnMemory(choice)) return CHUNK_ROWS.withoutGpu;
  if ((options.maxSequences ?? 1) > 1) return CHUNK_ROWS.besideOthers;
  return (await rowsOn(await tuningOf(choice, "missing"), options))?.chosen ?? CHUNK_ROWS.alone;
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
export async function deviceChoices(options: EngineSettings, measure: boolean): Promise<DeviceChoices | null> {
  const choice = await settled({ ...options, backend: "webgpu" as const });
  const tuning = await tuningOf(choice, measure ? "everything" : "nothing");
  if (tuning === null) return null;
  const hardware = await hasHardwareGpu(firstGpu(choice));
  const kernels = await tuning.kernels();
  return { device: tuning.device, hardware, kernels, rows: hardware ? await rowsOn(tuning, options) : null };
}

export function tuningOf(options: LoadOptions & Settled, measure: Measure): Promise<Tuning | null> {
  return Tuning.of(firstGpu(options), deviceFileOf(options), measure);
}

async function rowsOn(tuning: Tuning | null, options: LoadOptions): Promise<Measurement<number> | null> {
  const { model = EMBEDDED_MODEL, ropeScaling = null, quantize = "none" } = options;
  return await tuning?.rows(await stageConfig({ model, ropeScaling }), quantize) ?? null;
}

/** What is measured on one is chosen for all, so that all stages compute alike. */
export const firstGpu = ({ gpu }: Settled): GpuProvider => gpu[0] ?? "deno";

/** Whether a device's memory is another than the computer's. */
export async function hasOwnMemory(options: Settled): Promise<boolean> {
  return options.backend === "webgpu" && await hasHardwareGpu(firstGpu(options));
}

/** The library's entry: opens a model and talks with it. */
import { fileURLToPath } from "node:url";
import { Chat } from "./chat/chat.ts";
import { ChatTemplate } from "./chat/template.ts";
import { tokenBytes } from "./chat/token_bytes.ts";
import { Tokenizer } from "./chat/tokenizer.ts";
import { EngineClient } from "./engine/client.ts";
import type {
  BackendName,
  DecayConvention,
  EngineOptions,
  GpuProvider,
  KernelChoice,
  KvCacheType,
  Quantize,
  StepReport,
} from "./pipeline/messages.ts";
import type { LayerRange } from "./pipeline/steps.ts";
import type { TokenBytes } from "./pipeline/requests.ts";
import { parseLayers, partition } from "./pipeline/partition.ts";
import { type Ceilings, measureDevice as measure } from "./stage/ceilings.ts";
import { hasHardwareGpu } from "./stage/devices.ts";
import { stageConfig } from "./stage/open.ts";
import { prefixCacheRoom, snapshotsFor } from "./stage/size.ts";
import { cacheFile, type Measure, type Measurement, Tuning } from "./stage/tuning.ts";
import { type ModelWork, modelWork as workOf } from "./stage/work.ts";

export { Chat } from "./chat/chat.ts";
export { fold } from "./chat/fold.ts";
export type * from "./chat/messages.ts";
export { RequestError } from "./chat/request_error.ts";
export { EngineClient } from "./engine/client.ts";
export { EngineBusyError, EngineError, TooLongError } from "./engine/engine_error.ts";
export type {
  DecayConvention,
  EngineInfo,
  EngineStatus,
  GpuProvider,
  KernelChoice,
  KvCacheType,
  Quantize,
  StageInfo,
  StepReport,
} from "./pipeline/messages.ts";
export type { SamplingParams } from "./pipeline/requests.ts";
export type { Ceilings } from "./stage/ceilings.ts";
export { convert, type Converted, type ConvertOptions } from "./stage/convert.ts";
export {
  type DeviceInfo,
  type GpuInstallation,
  installGpu,
  listDevices,
  plannedGpuInstallation,
} from "./stage/devices.ts";
export { type ModelSize, modelSize, type SizeOptions } from "./stage/size.ts";
export type { Measurement } from "./stage/tuning.ts";
export type { ModelWork, StepShape, StepWork } from "./stage/work.ts";

/** What to open and how; everything has a default. */
export interface LoadOptions {
  /** Directory of a checkpoint; the embedded ring-nano if left out. */
  readonly model?: string;
  /** `auto` takes a hardware GPU if there is one, else WASM. */
  readonly backend?: BackendName | "auto";
  /** Where WebGPU comes from, for all stages or for each; Deno's own by default. */
  readonly gpu?: GpuProvider | readonly GpuProvider[];
  /** Workers that share the layers; by default 1, or as many as there are GPUs. */
  readonly stages?: number;
  /** Their layers, `0-9,10-19`, instead of equal shares. */
  readonly layers?: string;
  /** Threads of each stage that computes on the CPU; by default the processors, shared out to the stages, but no more than 16. */
  readonly threads?: number;
  /** Positions that a sequence may have; the model's own, up to 131,072, by default. Memory is taken as sequences grow. */
  readonly maxContext?: number;
  /** Sequences in flight; others wait. 1 by default. */
  readonly maxSequences?: number;
  /** Bytes of the device's memory for what prompts begin with, states, keys and values, so that they are not computed again; 0, none, by default. */
  readonly prefixCache?: number;
  /** Bytes of the computer's memory behind that; by default four times as many where the device is a GPU with its own, else none. */
  readonly hostCache?: number;
  /** Give each answer the bits that it has alone, whoever else is answered at the same time: at most 8 sequences then decode in one step. */
  readonly deterministic?: boolean;
  /** Requests that may wait for others; one beyond them fails with an EngineBusyError. No bound by default. */
  readonly maxWaiting?: number;
  /** How matrices are held on the device; as in the checkpoint by default. */
  readonly quantize?: Quantize;
  /** In what keys and values are kept; f32, the exact one, by default. */
  readonly kvCache?: KvCacheType;
  readonly decay?: DecayConvention;
  /** `yarn:4` stretches the context by 4. */
  readonly ropeScaling?: string;
  /** Where measurements of devices are remembered; `ringlet/devices.json` in the user's cache by default. */
  readonly deviceFile?: string;
  /** Hears how far the weights are. */
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void;
  /** Ends the loading. */
  readonly signal?: AbortSignal;
}

/** How to open an engine by itself. */
export interface EngineSettings extends LoadOptions {
  /** Weights by chance; `model` may then be a config.json by itself. */
  readonly randomWeights?: boolean;
  /** Rows of one prefill step; what suits the device by default. */
  readonly chunkRows?: number;
  /** Hears every step, and what it took. */
  readonly onStep?: (report: StepReport) => void;
  /** The bytes of the tokens, without which no request can have a grammar. */
  readonly tokens?: TokenBytes | null;
}

/** The model that comes with Ringlet. */
export const EMBEDDED_MODEL: string = fileURLToPath(new URL("../models/ring-nano", import.meta.url));

/** What Ring-mini-linear-2.0 was trained on. */
const DEFAULT_CONTEXT = 131072;

/**
 * Rows of one prefill step where they are not measured: sequences that decode meanwhile wait for a step, so that beside
 * others it has few. Without a GPU as many as end soon.
 */
const CHUNK_ROWS = { alone: 2048, besideOthers: 512, withoutGpu: 256 } as const;

/**
 * Opens a model: its tokenizer and template here, its layers in workers.
 * @throws with one sentence for a model or options that cannot be used
 */
export async function load(options: LoadOptions = {}): Promise<Chat> {
  const { model = EMBEDDED_MODEL, ropeScaling = null } = options;
  const config = await stageConfig({ model, ropeScaling });
  const [tokenizer, template] = [await tokenizerOf(model), await ChatTemplate.fromDirectory(model)];
  const name = model.replace(/[\\/]+$/, "").split(/[\\/]/).at(-1)!;
  return new Chat({
    model: name,
    tokenizer,
    template,
    engine: await openEngine({ ...options, tokens: tokenizer && tokenBytes(tokenizer) }),
    stopTokens: config.eosTokenIds,
  });
}

/**
 * Opens a model for token ids alone.
 * @throws as {@linkcode load} does
 */
export async function openEngine(settings: EngineSettings): Promise<EngineClient> {
  const { model = EMBEDDED_MODEL, ropeScaling = null, onProgress, onStep, signal } = settings;
  const options = await engineOptions(settings, await stageConfig({ model, ropeScaling }));
  const hooks = { ...(onProgress && { onProgress }), ...(onStep && { onStep }), ...(signal && { signal }) };
  return await EngineClient.open(options, hooks);
}

/** What the device that a model would be opened on can do at best; takes a second. */
export async function measureDevice(options: LoadOptions): Promise<Ceilings> {
  const threads = threadsOf(options, options.stages ?? 1);
  return await measure({ backend: await backendOf(options), gpu: firstGpu(options), threads });
}

/** What the steps of a model must move and compute. */
export async function modelWork(settings: EngineSettings): Promise<ModelWork> {
  const { model = EMBEDDED_MODEL, ropeScaling = null, randomWeights = false } = settings;
  const { quantize = "none", kvCache = "f32" } = settings;
  return await workOf({ model, ropeScaling, randomWeights, quantize, kvCache });
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

function tuningOf(options: LoadOptions, measure: Measure): Promise<Tuning | null> {
  const { deviceFile } = options;
  return Tuning.of(firstGpu(options), deviceFile ?? cacheFile(Deno.build.os, (name) => Deno.env.get(name)), measure);
}

async function rowsOn(tuning: Tuning | null, options: LoadOptions): Promise<Measurement<number> | null> {
  const { model = EMBEDDED_MODEL, ropeScaling = null, quantize = "none" } = options;
  return await tuning?.rows(await stageConfig({ model, ropeScaling }), quantize) ?? null;
}

const gpusOf = ({ gpu = "deno" }: LoadOptions): readonly GpuProvider[] => typeof gpu === "string" ? [gpu] : gpu;

/** What is measured on one is chosen for all, so that all stages compute alike. */
const firstGpu = (options: LoadOptions): GpuProvider => gpusOf(options)[0] ?? "deno";

async function backendOf(options: LoadOptions): Promise<BackendName> {
  const { backend = "auto" } = options;
  return backend === "auto" ? (await hasHardwareGpu(firstGpu(options)) ? "webgpu" : "wasm") : backend;
}

/** Whether a device's memory is another than the computer's. */
async function hasOwnMemory(backend: BackendName, gpu?: GpuProvider): Promise<boolean> {
  return backend === "webgpu" && await hasHardwareGpu(gpu);
}

/** Null where the folder has none: its token ids can still be scored. */
async function tokenizerOf(model: string): Promise<Tokenizer | null> {
  try {
    return await Tokenizer.fromFile(`${model}/tokenizer.json`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function engineOptions(
  options: EngineSettings,
  config: Awaited<ReturnType<typeof stageConfig>>,
): Promise<EngineOptions> {
  const { model = EMBEDDED_MODEL, maxContext = Math.min(config.maxPositions, DEFAULT_CONTEXT) } = options;
  if (maxContext > config.maxPositions) {
    const why = `the model has positions for ${config.maxPositions} (--rope-scaling yarn:4 stretches them)`;
    throw new RangeError(`Cannot hold a context of ${maxContext} tokens: ${why}`);
  }
  const backend = await backendOf(options);
  // Decided once and here, so that all stages compute alike.
  const kernels = backend === "webgpu" ? await (await tuningOf(options, "missing"))?.kernels() : null;
  const layers = layerRanges(options, config.layers);
  const { maxSequences: slots = 1, kvCache = "f32" } = options;
  const ownMemory = await hasOwnMemory(backend, firstGpu(options));
  const { prefixCache: cacheBytes = 0, hostCache = ownMemory ? 4 * cacheBytes : 0 } = options;
  const prefixCache = prefixCacheRoom(config, { context: maxContext, kvCache }, cacheBytes, hostCache);
  const chainsFollow = ownMemory; // which works beside the thread
  return {
    model,
    layers,
    backend,
    threads: backend === "wasm" ? threadsOf(options, layers.length) : 1,
    ...(kernels && { kernels: kernels.chosen }),
    gpu: firstGpu(options),
    gpus: gpusOf(options),
    decay: options.decay ?? "serving",
    ropeScaling: options.ropeScaling ?? null,
    quantize: options.quantize ?? "none",
    kvCache,
    slots,
    snapshots: snapshotsFor(slots, layers.length, chainsFollow) + prefixCache.snapshots,
    chainsFollow,
    pages: slots * Math.ceil(maxContext / prefixCache.alignment) + prefixCache.pages,
    prefixCache,
    deterministic: options.deterministic ?? false,
    ...(options.maxWaiting === undefined ? {} : { maxWaiting: options.maxWaiting }),
    context: maxContext,
    maxRows: Math.min(options.chunkRows ?? await chunkRows({ ...options, maxSequences: 1 }), maxContext),
    rowsBeside: options.chunkRows ?? CHUNK_ROWS.besideOthers,
    randomWeights: options.randomWeights ?? false,
    profile: options.onStep !== undefined,
    ...(options.tokens && { tokens: options.tokens }),
  };
}

/** Threads of a stage by default at most: what more of them bring has not been measured, and each takes memory and time to start. */
const MOST_THREADS = 16;

/** Threads of each of so many stages. */
function threadsOf({ threads }: LoadOptions, stages: number): number {
  return threads ?? Math.min(MOST_THREADS, Math.max(1, Math.floor(navigator.hardwareConcurrency / stages)));
}

/** One range for each stage. */
function layerRanges(options: LoadOptions, count: number): LayerRange[] {
  const { layers, stages } = options;
  const gpus = gpusOf(options).length;
  const ranges = layers === undefined ? partition(count, stages ?? gpus) : parseLayers(layers, count);
  if (stages !== undefined && ranges.length !== stages) {
    throw new RangeError(`Cannot cut layers ${layers} into ${stages} stages: they name ${ranges.length}`);
  }
  if (gpus > 1 && ranges.length !== gpus) {
    throw new RangeError(
      `Cannot put ${ranges.length} stages on ${gpus} GPUs: name one GPU for all stages, or one for each`,
    );
  }
  return ranges;
}

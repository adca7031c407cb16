/** What an engine is told of a model and its device, out of what was asked for. */
import type { EngineOptions } from "../pipeline/messages.ts";
import type { stageConfig } from "../stage/open.ts";
import { keptLogits, prefixCacheRoom, snapshotsFor } from "../stage/size.ts";
import { deviceCount } from "./device_count.ts";
import { CHUNK_ROWS, chunkRows, firstGpu, hasOwnMemory, tuningOf } from "./devices.ts";
import { EMBEDDED_MODEL, type EngineSettings } from "./options.ts";
import { settled } from "./settle.ts";
import { layerRanges, wasmShares } from "./split.ts";
import { threadsOf } from "./threads.ts";

type Config = Awaited<ReturnType<typeof stageConfig>>;

/** What Ring-mini-linear-2.0 was trained on. */
const DEFAULT_CONTEXT = 131072;

/**
 * @throws {RangeError} for options that do not go together, or not with the model, and for a model that the computer's memory does not hold
 * where it would have to
 */
export async function engineOptions(settings: EngineSettings, config: Config): Promise<EngineOptions> {
  const options = await sharedOptions(settings, config);
  const { backend, threads, gpus, slots, prefixCache, chainsFollow } = options;
  const layers = backend === "wasm"
    ? (await wasmShares(settings, config, options)).map(({ layers }) => layers)
    : layerRanges(settings, config.layers);
  const devices = deviceCount({ ...settings, backend, threads, gpu: gpus }, layers.length);
  return {
    ...options,
    layers,
    devices,
    keptLogits: keptLogits(devices, layers.length),
    snapshots: snapshotsFor(slots, layers.length, chainsFollow) + prefixCache.snapshots,
  };
}

/** What does not depend on how the layers are shared out. */
export type SharedOptions = Awaited<ReturnType<typeof sharedOptions>>;

export async function sharedOptions(asked: EngineSettings, config: Config) {
  const { model = EMBEDDED_MODEL, maxContext = Math.min(config.maxPositions, DEFAULT_CONTEXT) } = asked;
  if (maxContext > config.maxPositions) {
    const why = `the model has positions for ${config.maxPositions} (--rope-scaling yarn:4 stretches them)`;
    throw new RangeError(`Cannot hold a context of ${maxContext} tokens: ${why}`);
  }
  const settings = await settled(asked);
  const { backend, gpu: gpus } = settings;
  // Decided once and here, so that all stages compute alike.
  const kernels = backend === "webgpu" ? await (await tuningOf(settings, "missing"))?.kernels() : null;
  const { maxSequences: slots = 1, kvCache = "f32" } = settings;
  const ownMemory = await hasOwnMemory(settings);
  const { prefixCache: cacheBytes = 0, hostCache = ownMemory ? 4 * cacheBytes : 0 } = settings;
  const prefixCache = prefixCacheRoom(config, { context: maxContext, kvCache }, cacheBytes, hostCache);
  return {
    model,
    backend,
    threads: backend === "wasm" ? await threadsOf(settings) : 1,
    ...(settings.memoryBytes === undefined ? {} : { memoryBytes: settings.memoryBytes }),
    ...(kernels && { kernels: kernels.chosen }),
    gpu: firstGpu(settings),
    gpus,
    decay: settings.decay ?? "serving",
    ropeScaling: settings.ropeScaling ?? null,
    quantize: settings.quantize ?? "none",
    kvCache,
    slots,
    chainsFollow: ownMemory, // which works beside the thread
    pages: slots * Math.ceil(maxContext / prefixCache.alignment) + prefixCache.pages,
    prefixCache,
    deterministic: settings.deterministic ?? false,
    ...(settings.maxWaiting === undefined ? {} : { maxWaiting: settings.maxWaiting }),
    context: maxContext,
    maxRows: Math.min(settings.chunkRows ?? await chunkRows({ ...settings, maxSequences: 1 }), maxContext),
    rowsBeside: settings.chunkRows ?? CHUNK_ROWS.besideOthers,
    randomWeights: settings.randomWeights ?? false,
    profile: settings.onStep !== undefined,
    ...(settings.tokens && { tokens: settings.tokens }),
  } satisfies Omit<EngineOptions, "layers" | "devices" | "keptLogits" | "snapshots">;
}

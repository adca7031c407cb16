/** What an engine is told of a model and its device, out of what was asked for. */
import type { EngineOptions } from "../pipeline/messages.ts";
import { parseLayers, partition } from "../pipeline/partition.ts";
import type { LayerRange } from "../pipeline/steps.ts";
import type { stageConfig } from "../stage/open.ts";
import { prefixCacheRoom, snapshotsFor } from "../stage/size.ts";
import { backendOf, CHUNK_ROWS, chunkRows, firstGpu, gpusOf, hasOwnMemory, threadsOf, tuningOf } from "./devices.ts";
import { EMBEDDED_MODEL, type EngineSettings, type LoadOptions } from "./options.ts";

/** What Ring-mini-linear-2.0 was trained on. */
const DEFAULT_CONTEXT = 131072;

/** @throws {RangeError} for options that do not go together, or not with the model */
export async function engineOptions(
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

/** How a model is cut into stages, and for the CPU, whether they have room: each in a memory of its own, all in the computer's. */
import { parseLayers, partition } from "../pipeline/partition.ts";
import type { LayerRange } from "../pipeline/steps.ts";
import { checkRoom, hostRoom } from "../stage/memory.ts";
import type { stageConfig } from "../stage/open.ts";
import { keptLogits, snapshotsFor } from "../stage/size.ts";
import { checkMemories, fixedBytes, sharesOf, splitByMemory, type StageShare } from "../stage/split.ts";
import { asksForStages, deviceCount } from "./device_count.ts";
import type { SharedOptions } from "./engine_options.ts";
import type { EngineSettings, LoadOptions } from "./options.ts";
import { gpusOf } from "./settle.ts";

type Config = Awaited<ReturnType<typeof stageConfig>>;

/** How a model is held where it computes on the CPU. */
export interface ModelSplit {
  readonly stages: readonly StageShare[];
  /** Of the computer's memory, what they take from the start, keys and values not among it. */
  readonly neededBytes: number;
  /** Of the computer's memory, what may be taken. */
  readonly availableBytes: number;
}

/** One range for each stage: those that are asked for, or equal shares of as many stages, by default one for each GPU. */
export function layerRanges(options: LoadOptions, count: number): LayerRange[] {
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

/**
 * As stages are asked for, or else as few as their memories hold.
 * @throws {RangeError} if a memory does not hold one of them
 */
export async function wasmSplit(settings: EngineSettings, config: Config, options: SharedOptions): Promise<ModelSplit> {
  const { gpus, threads, slots, pages, prefixCache: { alignment, snapshots } } = options;
  const availableBytes = hostRoom();
  const wanted = {
    ...options,
    positions: pages * alignment,
    snapshots: (stages: number) => snapshotsFor(slots, stages, false) + snapshots,
    keptLogits: (stages: number) =>
      keptLogits(deviceCount({ ...settings, backend: "wasm", threads, gpu: gpus }, stages), stages),
  };
  const shareOf = await sharesOf(config, wanted);
  const asked = asksForStages(settings);
  const ranges = asked
    ? layerRanges(settings, config.layers)
    : splitByMemory(config.layers, shareOf, wanted, availableBytes);
  const stages = ranges.map((layers) => shareOf(layers, ranges.length));
  checkMemories(stages, wanted, asked ? ["more --stages"] : []);
  return { stages, neededBytes: stages.reduce((sum, stage) => sum + fixedBytes(stage), 0), availableBytes };
}

/**
 * The stages, of which `onSplit` hears if they are several by themselves.
 * @throws {RangeError} if the computer has no memory for them
 */
export async function wasmShares(
  settings: EngineSettings,
  config: Config,
  options: SharedOptions,
): Promise<readonly StageShare[]> {
  const { stages, availableBytes } = await wasmSplit(settings, config, options);
  const all = (what: (stage: StageShare) => number) => stages.reduce((sum, stage) => sum + what(stage), 0);
  const size = {
    weightBytes: all(({ weightBytes }) => weightBytes),
    stateBytes: all(({ stateBytes }) => stateBytes),
    cacheBytes: all(({ cacheBytes }) => cacheBytes),
    activationBytes: all(({ activationBytes }) => activationBytes),
  };
  const host = { device: "the CPU", maxBytes: Infinity, onHost: true };
  checkRoom(host, size, { ...options, layers: { start: 0, end: config.layers } }, () => availableBytes);
  if (stages.length > 1 && !asksForStages(settings)) settings.onSplit?.(stages);
  return stages;
}

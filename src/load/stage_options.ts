/** What one stage of a pool is told of a model and its device: as an engine's stages are, but for layers of its own. */
import type { EngineOptions, StageOptions } from "../pipeline/messages.ts";
import { parseStage } from "../pipeline/partition.ts";
import { mostOutputs } from "../pipeline/steps.ts";
import type { stageConfig } from "../stage/open.ts";
import { checkMemories, sharesOf } from "../stage/split.ts";
import { sharedOptions } from "./engine_options.ts";
import type { EngineSettings } from "./options.ts";

type Config = Awaited<ReturnType<typeof stageConfig>>;

/** How to open a stage by itself. */
export interface StageSettings extends Omit<EngineSettings, "stages" | "hostCache" | "pool" | "onWaiting"> {
  /** First and last layer, `10-19`. */
  readonly layers: string;
}

/** A stage, and how many threads it has. */
export interface StageSetup extends StageOptions {
  readonly threads: number;
  readonly keptLogits: number;
  readonly snapshots: number;
  readonly pages: number;
  /** Positions of a page. */
  readonly alignment: number;
}

/** Of several routes through the last stage each may run a few steps before whole rows of one are asked for. */
const MOST_KEPT_LOGITS = 16;
const KEPT_LOGIT_BYTES = 2 ** 29;

/** What is advised where the layers are too many. */
const SMALLER = "fewer --layers";

/** @throws {RangeError} for options that do not go together, or not with the model, and for layers that one WASM memory does not hold */
export async function stageSetup(settings: StageSettings, config: Config): Promise<StageSetup> {
  const layers = parseStage(settings.layers, config.layers);
  const { layers: _, ...others } = settings;
  const options = await sharedOptions({ ...others, hostCache: 0 }, config);
  if (options.gpus.length > 1) throw new RangeError("Cannot compute on several GPUs in one stage: name one --gpu");
  const setup: StageSetup = {
    ...stageOptions(options),
    layers,
    threads: options.threads,
    smaller: SMALLER,
    keptLogits: keptLogits(config, options.maxRows),
    snapshots: options.prefixCache.snapshots,
    pages: options.pages,
    alignment: options.prefixCache.alignment,
  };
  if (options.backend === "wasm") await checkMemory(setup, config);
  return setup;
}

/** Those that stages know. */
function stageOptions(options: Omit<EngineOptions, "layers">): Omit<StageOptions, "layers"> {
  const { model, backend, gpu, decay, ropeScaling, quantize, kvCache, slots, context, maxRows } = options;
  const { kernels, memoryBytes, randomWeights = false } = options;
  return {
    ...{ model, backend, gpu, decay, ropeScaling, quantize, kvCache, slots, context, maxRows, randomWeights },
    ...(kernels && { kernels }),
    ...(memoryBytes !== undefined && { memoryBytes }),
  };
}

/** As many steps' as half a GiB holds. */
function keptLogits({ vocab }: Config, maxRows: number): number {
  const stepBytes = 4 * vocab * mostOutputs(vocab, maxRows);
  return Math.min(MOST_KEPT_LOGITS, Math.floor(KEPT_LOGIT_BYTES / stepBytes));
}

async function checkMemory(setup: StageSetup, config: Config): Promise<void> {
  const wanted = {
    ...setup,
    positions: setup.pages * setup.alignment,
    snapshots: () => setup.snapshots,
    keptLogits: () => setup.keptLogits,
  };
  const shareOf = await sharesOf(config, wanted);
  checkMemories([shareOf(setup.layers, setup.layers.end - setup.layers.start === config.layers ? 1 : 2)], wanted, [
    SMALLER,
  ]);
}

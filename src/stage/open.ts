/** Opens a stage: picks its backend, checks the checkpoint, loads its layers, compiles its kernels. */
import type { Backend } from "../backend/backend.ts";
import { openCheckpoint } from "../formats/safetensors.ts";
import { checkTensors } from "../model/check_tensors.ts";
import type { ModelConfig } from "../model/config.ts";
import { loadConfig, loadConfigFile } from "../model/load_config.ts";
import { WeightLoader } from "../model/loader.ts";
import { Model } from "../model/model.ts";
import { withRopeScaling } from "../model/rope.ts";
import type { StageInfo, StageOptions } from "../pipeline/messages.ts";
import { deviceInfo, openBackend } from "./backend.ts";
import { checkRoom, explained } from "./memory.ts";
import { openRandomModel } from "./random.ts";
import { stageSize, weightBytes } from "./size.ts";

/** An open stage; the model owns the backend and all that lies on it. */
export interface OpenedStage {
  readonly model: Model;
  readonly info: StageInfo;
}

/**
 * Opens the stage that `options` describe, ready for its first step; `onProgress` hears the bytes of weights loaded so far and
 * those in all.
 * @throws {CheckpointError | RangeError | TypeError | SyntaxError} with one sentence for a checkpoint or options that do not fit
 */
export async function openStage(
  options: StageOptions,
  onProgress: (loadedBytes: number, totalBytes: number) => void,
  open: (options: StageOptions) => Promise<Backend> = openBackend,
): Promise<OpenedStage> {
  const config = await stageConfig(options);
  if (options.randomWeights) return await openRandomModel(config, options, onProgress, open);
  using checkpoint = await openCheckpoint(options.model);
  checkTensors(checkpoint, config);
  const size = stageSize(config, options, weightBytes(checkpoint, config, options));
  const storedBytes = weightBytes(checkpoint, config, { ...options, quantize: "none" });
  using opened = new DisposableStack();
  const backend = opened.use(await open(options));
  checkRoom(backend, size, options);
  try {
    const { layers, quantize } = options;
    const weights = new WeightLoader(
      backend,
      config,
      checkpoint,
      quantize,
      (loaded) => onProgress(loaded, storedBytes),
    );
    const model = await Model.from(weights, options);
    await Promise.all([weights.load(), model.prepare()]);
    await weights.verify();
    await model.warm();
    opened.move(); // from here on the model disposes of its backend
    const { weightBytes, stateBytes, cacheBytes } = size;
    const bytes = { weightBytes, stateBytes, cacheBytes };
    return { model, info: { layers, ...deviceInfo(backend, options), ...bytes, vocabulary: config.vocab } };
  } catch (error) {
    throw explained(error, backend, size, options);
  }
}

/** The configuration of a checkpoint, or one by itself, with the command line's RoPE scaling. */
export async function stageConfig(
  { model, ropeScaling }: Pick<StageOptions, "model" | "ropeScaling">,
): Promise<ModelConfig> {
  const config = await (model.endsWith(".json") ? loadConfigFile(model) : loadConfig(model));
  return ropeScaling === null ? config : withRopeScaling(config, ropeScaling);
}

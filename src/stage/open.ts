/** Opens a stage: picks its backend, checks the checkpoint, loads its layers. */
import { openCheckpoint } from "../formats/safetensors.ts";
import { checkTensors } from "../model/check_tensors.ts";
import type { ModelConfig } from "../model/config.ts";
import { loadConfig, loadConfigFile } from "../model/load_config.ts";
import { Model } from "../model/model.ts";
import { withRopeScaling } from "../model/rope.ts";
import type { StageInfo, StageOptions } from "../pipeline/messages.ts";
import { openBackend } from "./backend.ts";
import { openRandomModel } from "./random.ts";
import { weightBytes } from "./size.ts";

/** An open stage; the model owns the backend and all that lies on it. */
export interface OpenedStage {
  readonly model: Model;
  readonly info: StageInfo;
}

/**
 * Opens the stage that `options` describe; `onProgress` hears the bytes of weights loaded so far and those in all.
 * @throws {CheckpointError | RangeError | TypeError | SyntaxError} with one sentence for a checkpoint or options that do not fit
 */
export async function openStage(
  options: StageOptions,
  onProgress: (loadedBytes: number, totalBytes: number) => void,
): Promise<OpenedStage> {
  const config = await stageConfig(options);
  if (options.randomWeights) return await openRandomModel(config, options, onProgress);
  using checkpoint = await openCheckpoint(options.model);
  checkTensors(checkpoint, config);
  using opened = new DisposableStack();
  const backend = opened.use(await openBackend(options));
  const storedBytes = weightBytes(checkpoint, config, { ...options, quantize: "none" });
  const model = await Model.load(backend, config, checkpoint, options, (loaded) => onProgress(loaded, storedBytes));
  opened.move(); // from here on the model disposes of its backend
  const { layers, backend: name } = options;
  const { device } = backend;
  const bytes = { weightBytes: weightBytes(checkpoint, config, options), stateBytes: model.stateBytes };
  return { model, info: { layers, backend: name, device, ...bytes, vocabulary: config.vocab } };
}

/** The configuration of a checkpoint, or one by itself, with the command line's RoPE scaling. */
export async function stageConfig(
  { model, ropeScaling }: Pick<StageOptions, "model" | "ropeScaling">,
): Promise<ModelConfig> {
  const config = await (model.endsWith(".json") ? loadConfigFile(model) : loadConfig(model));
  return ropeScaling === null ? config : withRopeScaling(config, ropeScaling);
}

/** What any step of a model must move and compute, from its files alone. */
import { openCheckpoint } from "../formats/safetensors.ts";
import { ModelWork } from "../model/work.ts";
import type { StageOptions } from "../pipeline/messages.ts";
import { stageConfig } from "./open.ts";
import { randomBytesOf } from "./random.ts";
import { bytesOf } from "./size.ts";

export type { ModelWork, StepShape, StepWork } from "../model/work.ts";

/** The work of the model in `model`, or of one by its configuration alone with random weights. */
export async function modelWork(
  options: Pick<StageOptions, "model" | "ropeScaling" | "randomWeights" | "quantize" | "kvCache">,
): Promise<ModelWork> {
  const { quantize, kvCache } = options;
  const config = await stageConfig(options);
  if (options.randomWeights) return new ModelWork(config, randomBytesOf(quantize), kvCache);
  using checkpoint = await openCheckpoint(options.model);
  return new ModelWork(config, bytesOf(checkpoint, config, quantize), kvCache);
}

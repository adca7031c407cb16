/** What any step of a model must move and compute, from its files alone. */
import { ModelWork } from "../model/work.ts";
import type { StageOptions } from "../pipeline/messages.ts";
import { heldBytesOf } from "./held_bytes.ts";
import { stageConfig } from "./open.ts";

export type { ModelWork, StepShape, StepWork } from "../model/work.ts";

/** The work of the model in `model`, or of one by its configuration alone with random weights. */
export async function modelWork(
  options: Pick<StageOptions, "model" | "ropeScaling" | "randomWeights" | "quantize" | "kvCache">,
): Promise<ModelWork> {
  const config = await stageConfig(options);
  return new ModelWork(config, await heldBytesOf(config, options), options.kvCache);
}

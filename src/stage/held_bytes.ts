/** Bytes of weights as they are held, of a checkpoint or by chance. */
import { openCheckpoint } from "../formats/safetensors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { NamedShape } from "../model/tensor_names.ts";
import type { StageOptions } from "../pipeline/messages.ts";
import { randomBytesOf } from "./random.ts";
import { bytesOf } from "./size.ts";

/** Tells the bytes of each weight of the model in `model`, or of one by its configuration alone. */
export async function heldBytesOf(
  config: ModelConfig,
  { model, randomWeights, quantize }: Pick<StageOptions, "model" | "randomWeights" | "quantize">,
): Promise<(tensor: NamedShape) => number> {
  if (randomWeights) return randomBytesOf(quantize);
  using checkpoint = await openCheckpoint(model);
  return bytesOf(checkpoint, config, quantize);
}

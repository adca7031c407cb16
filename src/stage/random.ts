/** Opens a stage without a checkpoint: weights by chance, of the types that the released BF16 checkpoint has. */
import type { Backend } from "../backend/backend.ts";
import { elements, type WeightType } from "../backend/tensor.ts";
import type { ModelConfig } from "../model/config.ts";
import { Model } from "../model/model.ts";
import { heldBytes, heldType } from "../model/quantization_policy.ts";
import { RandomWeights } from "../model/random_weights.ts";
import { expectedTensors, type NamedShape } from "../model/tensor_names.ts";
import type { Quantize, StageInfo, StageOptions } from "../pipeline/messages.ts";
import { deviceInfo, openBackend } from "./backend.ts";
import { checkRoom, explained } from "./memory.ts";
import { stageSize } from "./size.ts";

/** The type of a weight on the device, where norms and biases are f32. */
const typeOf = (quantize: Quantize) => ({ name, shape }: NamedShape): WeightType =>
  shape.length === 1 ? "f32" : heldType(quantize, name, { type: "BF16", shape, entries: [] });

/** Tells the bytes of a weight on the device. */
export function randomBytesOf(quantize: Quantize): (tensor: NamedShape) => number {
  const type = typeOf(quantize);
  return (tensor) => heldBytes(type(tensor), elements(tensor.shape));
}

/** As openStage() does. */
export async function openRandomModel(
  config: ModelConfig,
  options: StageOptions,
  onProgress: (loadedBytes: number, totalBytes: number) => void,
  open: (options: StageOptions) => Promise<Backend> = openBackend,
): Promise<{ readonly model: Model; readonly info: StageInfo }> {
  using opened = new DisposableStack();
  const backend = opened.use(await open(options));
  const { layers, quantize } = options;
  const weightBytes = expectedTensors(config, layers).map(randomBytesOf(quantize)).reduce((sum, bytes) => sum + bytes);
  const size = stageSize(config, options, weightBytes);
  checkRoom(backend, size, options);
  try {
    const weights = new RandomWeights(backend, config, typeOf(quantize), (made) => onProgress(made, weightBytes));
    const model = await Model.from(weights, options);
    await model.prepare();
    await model.warm();
    opened.move();
    const { stateBytes, cacheBytes } = size;
    const bytes = { weightBytes, stateBytes, cacheBytes };
    const info = { layers, ...deviceInfo(backend, options), ...bytes, vocabulary: config.vocab };
    return { model, info };
  } catch (error) {
    throw explained(error, backend, size, options);
  }
}

/** Which model it is: what tells two checkpoints apart, cheap enough to be asked of one of a hundred gigabytes. */
import { createHash } from "node:crypto";
import { type Checkpoint, openCheckpoint, type TensorEntry } from "../formats/safetensors.ts";
import type { ModelConfig } from "../model/config.ts";
import { isIgnoredTensor } from "../model/tensor_names.ts";
import type { StageOptions } from "../pipeline/messages.ts";
import { stageConfig } from "./open.ts";

/** Tensors of which bytes are read, spread over all: two models that were trained apart differ in each. */
const MOST_SAMPLES = 1024;

/** Of each of these at least, in whole rows from its middle. */
const SAMPLE_BYTES = 64;

/** What of a stage's options changes the bits of what it computes. */
type Options = Pick<StageOptions, "model" | "quantize" | "kvCache" | "decay" | "ropeScaling" | "randomWeights">;

/**
 * What must be equal for stages to compute parts of the same model to the same bits, as members of a pool tell it. The hash is over what the
 * configuration means, all tensors' names, types and shapes, and samples of their bytes; how they are shared out to files does not matter.
 * @throws as opening a checkpoint does
 */
export async function modelIdentity(options: Options) {
  const { model, quantize, kvCache, decay, ropeScaling, randomWeights = false } = options;
  const config = await stageConfig({ model, ropeScaling: null });
  const hash = createHash("sha256").update(meaningOf(config));
  if (!randomWeights) { for await (const part of checkpointParts(model, config)) hash.update(part); }
  const { layers, hidden, vocab: vocabulary } = config;
  return { hash: hash.digest("hex"), layers, hidden, vocabulary, quantize, kvCache, decay, ropeScaling };
}

/** Of the configuration all that stages compute by: who ends an answer the engine decides. */
function meaningOf({ eosTokenIds: _, ...config }: ModelConfig): string {
  return JSON.stringify(Object.entries(config).sort(([a], [b]) => a < b ? -1 : 1));
}

async function* checkpointParts(folder: string, config: ModelConfig): AsyncGenerator<string | Uint8Array> {
  using checkpoint = await openCheckpoint(folder);
  for (const { name, dtype, shape } of countedTensors(checkpoint, config)) yield JSON.stringify([name, dtype, shape]);
  for (const { name, firstRow, rows } of samplesOf(checkpoint, config)) {
    yield await checkpoint.read(name, firstRow, rows);
  }
}

/** Rows of tensors that are hashed, and where in their files they are: what else is there does not count. */
export function* samplesOf(checkpoint: Checkpoint, config: ModelConfig) {
  const tensors = countedTensors(checkpoint, config);
  const samples = Math.min(tensors.length, MOST_SAMPLES);
  for (let n = 0; n < samples; n++) yield sampleOf(tensors[Math.floor(n * tensors.length / samples)]!);
}

function countedTensors(checkpoint: Checkpoint, config: ModelConfig): TensorEntry[] {
  return [...checkpoint.tensors.values()].filter(({ name }) => !isIgnoredTensor(config, name))
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

function sampleOf({ name, shape, shard, begin, end }: TensorEntry) {
  const total = shape[0] ?? 1;
  const rowBytes = (end - begin) / Math.max(1, total);
  const rows = Math.min(total, Math.ceil(SAMPLE_BYTES / Math.max(1, rowBytes)));
  const firstRow = Math.floor((total - rows) / 2);
  const start = begin + firstRow * rowBytes;
  return { name, firstRow, rows, shard, start, end: start + rows * rowBytes };
}

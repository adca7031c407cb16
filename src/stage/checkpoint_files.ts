/** Which files of a folder belong to a checkpoint, and which bytes of them some of its layers need. */
import { type Checkpoint, openCheckpoint } from "../formats/safetensors.ts";
import { checkTensors } from "../model/check_tensors.ts";
import { loadConfig } from "../model/load_config.ts";
import { isNeededBy } from "../model/tensor_names.ts";
import { parseStage } from "../pipeline/partition.ts";
import { samplesOf } from "./identity.ts";

/** Bytes `[start, end)` of a file. */
export interface FileRange {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

/** A file of a checkpoint. Of one with weights, what shows which tensors there are and of which model. */
export interface CheckpointFile {
  readonly name: string;
  readonly extracts?: readonly FileRange[];
}

/** What belongs to a model besides its weights: configuration, tokenizer, template, the index of its shards, its licence. */
const COMPANION = /^[^.].*\.(json|jinja|txt|model)$|^LICENSE/;

/**
 * The files that a model needs on another computer; the weights last.
 * @throws {CheckpointError} if the checkpoint is not whole
 */
export async function checkpointFiles(model: string): Promise<CheckpointFile[]> {
  const config = await loadConfig(model);
  using checkpoint = await openCheckpoint(model);
  checkTensors(checkpoint, config);
  const companions: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(model)) {
    if (!isDirectory && COMPANION.test(name)) companions.push(name);
  }
  const samples = [...samplesOf(checkpoint, config)].map(({ shard, start, end }) => rangeOf(shard, start, end));
  const weights = checkpoint.shards.toSorted().map((name) => ({
    name,
    extracts: [headerOf(checkpoint, name), ...samples.filter(({ file }) => file === name)],
  }));
  return [...companions.toSorted().map((name) => ({ name })), ...weights];
}

/** All before the first tensor. */
function headerOf({ tensors }: Checkpoint, file: string): FileRange {
  const begins = tensors.values().filter(({ shard }) => shard === file).map(({ begin }) => begin);
  return rangeOf(file, 0, begins.reduce((least, begin) => Math.min(least, begin), Infinity));
}

/**
 * The bytes of a checkpoint's weights that a stage reads, besides those by which it is opened. Layers as `10-19`.
 * @throws {RangeError} if the model has not these layers; as opening a checkpoint does
 */
export async function layerRanges(model: string, layers: string): Promise<FileRange[]> {
  const config = await loadConfig(model);
  const range = parseStage(layers, config.layers);
  using checkpoint = await openCheckpoint(model);
  return checkpoint.tensors.values().filter(({ name }) => isNeededBy(range, config, name))
    .map(({ shard, begin, end }) => rangeOf(shard, begin, end)).toArray();
}

/** Of whole bytes. */
function rangeOf(file: string, start: number, end: number): FileRange {
  return { file, start: Math.floor(start), end: Math.ceil(end) };
}

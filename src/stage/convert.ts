/** Rewrites a checkpoint with its matrices in groups of 8 or 4 bits, so that they need not be rounded at every load. */
import { GROUP, GROUP_BYTES, type GroupType } from "../formats/groups.ts";
import { type Checkpoint, openCheckpoint, type TensorEntry } from "../formats/safetensors.ts";
import { indexOf, planShards, ShardWriter, type TensorPlan, type Unit, unitBytes } from "../formats/shard_writer.ts";
import { FACTORS_SUFFIX, factorShape, STORED_CODES } from "../formats/stored_groups.ts";
import { storedWeight } from "../formats/stored_weight.ts";
import { checkTensors } from "../model/check_tensors.ts";
import type { ModelConfig } from "../model/config.ts";
import { groupSlices } from "../model/group_loader.ts";
import { loadConfig } from "../model/load_config.ts";
import { heldType, isGroupType, isStoredAs } from "../model/quantization_policy.ts";
import { expectedTensors } from "../model/tensor_names.ts";
import type { Quantize } from "../pipeline/messages.ts";
import { UnfinishedFolder } from "./unfinished_folder.ts";

export interface ConvertOptions {
  /** Directory of the checkpoint. */
  readonly model: string;
  readonly to: Exclude<Quantize, "none">;
  /** Directory to be made. */
  readonly out: string;
  /** Hears the bytes written so far, and those in all. */
  readonly onProgress?: (writtenBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface Converted {
  readonly shards: number;
  /** Of all tensors, before and after. */
  readonly sourceBytes: number;
  readonly bytes: number;
}

const MAX_SHARD_BYTES = 4 * 2 ** 30;

/** Bytes copied at once. */
const SLICE_BYTES = 32 * 2 ** 20;

/** What belongs to a model besides its weights and config.json: tokenizer, template, generation settings. */
const COMPANION = /^(?!config\.json$)(?!.*\.index\.json$)(.*\.(json|jinja|txt|model)|LICENSE.*)$/;

/** A tensor as it was, or a matrix that becomes codes and factors. */
interface Part extends Unit {
  readonly name: string;
  readonly type: GroupType | null;
}

/**
 * Writes `out` with the tensors that the model uses, quantized as `--quantize` would, and the files beside them. The
 * folder appears when it is complete.
 * @throws {CheckpointError} if the checkpoint cannot be used or `out` is there already
 */
export async function convert({ model, to, out, onProgress, signal }: ConvertOptions): Promise<Converted> {
  const config = await loadConfig(model);
  using checkpoint = await openCheckpoint(model);
  checkTensors(checkpoint, config);
  const parts = expectedTensors(config).flatMap(({ name }) => partsOf(checkpoint, config, to, name)).toArray();
  const shards = planShards(parts, MAX_SHARD_BYTES);
  const bytes = unitBytes(parts);
  await using folder = await UnfinishedFolder.create(out);
  await copyCompanions(model, folder.path);
  await Deno.writeTextFile(`${folder.path}/config.json`, await configOf(model, to, config));
  await Deno.writeTextFile(`${folder.path}/model.safetensors.index.json`, indexOf(shards));
  let written = 0;
  const count = (size: number) => {
    signal?.throwIfAborted();
    onProgress?.(written += size, bytes);
  };
  for (const plan of shards) {
    using shard = await ShardWriter.create(folder.path, plan);
    for (const part of plan.units) await writePart({ checkpoint, config, shard, count }, part);
  }
  await folder.finish();
  return { shards: shards.length, sourceBytes: checkpoint.bytes, bytes };
}

function* partsOf(checkpoint: Checkpoint, config: ModelConfig, to: Quantize, name: string): Generator<Part> {
  const stored = storedWeight(checkpoint, name, config.weightBlock);
  const type = heldType(to, name, stored);
  if (isGroupType(type) && !isStoredAs(type, stored)) {
    yield { name, type, plans: groupPlans(name, type, stored.shape) };
    return;
  }
  for (const { name, dtype, shape, begin, end } of stored.entries) {
    yield { name, type: null, plans: [{ name, dtype, shape, bytes: end - begin }] };
  }
}

/** The tensors of a matrix [N, K] in groups: codes, then factors. */
function groupPlans(name: string, type: GroupType, [N, K]: readonly number[]): TensorPlan[] {
  const groups = N! * K! / GROUP;
  const { dtype, perElement } = STORED_CODES[type];
  const factors = factorShape(type, [N!, K!]);
  return [
    { name, dtype, shape: [N!, K! / perElement], bytes: groups * GROUP_BYTES[type].codes },
    { name: name + FACTORS_SUFFIX, dtype: "F16", shape: factors, bytes: groups * GROUP_BYTES[type].factors },
  ];
}

/** Where parts come from and go to. */
interface Writing {
  readonly checkpoint: Checkpoint;
  readonly config: ModelConfig;
  readonly shard: ShardWriter;
  readonly count: (bytes: number) => void;
}

async function writePart(writing: Writing, { name, type, plans }: Part): Promise<void> {
  if (type === null) await copyTensor(writing, writing.checkpoint.entry(name));
  else await writeGroups(writing, type, name, plans);
}

async function copyTensor(
  { checkpoint, shard, count }: Writing,
  { name, shape, begin, end }: TensorEntry,
): Promise<void> {
  const rows = shape[0] ?? 1;
  const rowBytes = (end - begin) / rows;
  const step = Math.max(1, Math.floor(SLICE_BYTES / rowBytes));
  for (let row = 0; row < rows; row += step) {
    const bytes = await checkpoint.read(name, row, Math.min(step, rows - row));
    await shard.write(name, row * rowBytes, bytes);
    count(bytes.length);
  }
}

async function writeGroups(
  { checkpoint, config, shard, count }: Writing,
  type: GroupType,
  name: string,
  plans: readonly TensorPlan[],
): Promise<void> {
  const [codes, factors] = plans as [TensorPlan, TensorPlan];
  const rows = codes.shape[0]!;
  for await (const slice of groupSlices(checkpoint, type, name, config.weightBlock)) {
    await shard.write(codes.name, slice.firstRow * codes.bytes / rows, slice.codes);
    await shard.write(factors.name, slice.firstRow * factors.bytes / rows, slice.factors);
    count(slice.codes.length + slice.factors.length);
  }
}

async function copyCompanions(from: string, to: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (!isDirectory && COMPANION.test(name)) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** The checkpoint's config.json, saying how its weights are stored now. What is copied keeps the blocks that it had. */
async function configOf(model: string, to: Quantize, { weightBlock }: ModelConfig): Promise<string> {
  const { quantization: _, quantization_config: before, ...config } = JSON.parse(
    await Deno.readTextFile(`${model}/config.json`),
  );
  const blocks = before ? { weight_block_size: weightBlock } : {};
  const quantization = { quant_method: "ringlet", policy: to, group_size: GROUP, ...blocks };
  return `${JSON.stringify({ ...config, quantization_config: quantization }, null, 2)}\n`;
}

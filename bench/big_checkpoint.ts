/** Writes a checkpoint of any size with the layers of Ring-mini-linear-2.0: what is in its weights does not matter here. */
import { elements } from "../src/backend/tensor.ts";
import { indexOf, planShards, ShardWriter, type TensorPlan } from "../src/formats/shard_writer.ts";
import { parseConfig } from "../src/model/config.ts";
import { expectedTensors } from "../src/model/tensor_names.ts";
import FULL_SIZE from "./ring-mini-linear-2.0.json" with { type: "json" };

const MIB = 2 ** 20;

/** A linear and a softmax layer, both with experts: 60 MiB without them, and 6 MiB for each of their experts. */
const LAYERS = { num_hidden_layers: 2, layer_group_size: 2, first_k_dense_replace: 0, n_group: 2, topk_group: 2 };
const FIXED_BYTES = 62 * MIB;
const EXPERT_BYTES = 6 * MIB;

/** What is written again and again: 16 MiB. */
const BLOCK_VALUES = 8 * MIB;

/** A folder that goes away with its scope. */
export interface BigCheckpoint extends AsyncDisposable {
  readonly path: string;
}

/** Writes one of about `bytes`, from 256 MiB up, in three shards: a quarter vocabulary, the rest experts. */
export async function writeBigCheckpoint(bytes: number): Promise<BigCheckpoint> {
  const path = await Deno.makeTempDir({ prefix: "ringlet-loading-" });
  try {
    await writeInto(path, bytes);
  } catch (error) {
    await Deno.remove(path, { recursive: true });
    throw error;
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function writeInto(path: string, bytes: number): Promise<void> {
  const config = configOf(bytes);
  await Deno.writeTextFile(`${path}/config.json`, JSON.stringify(config));
  const plans = [...expectedTensors(parseConfig(config))].map(({ name, shape }): TensorPlan => ({
    ...{ name, dtype: "BF16", shape, bytes: 2 * elements(shape) },
  }));
  const shards = planShards(plans.map((plan) => ({ plans: [plan] })), Math.ceil(bytes / 3));
  await Deno.writeTextFile(`${path}/model.safetensors.index.json`, indexOf(shards));
  const block = randomBf16(BLOCK_VALUES);
  for (const shard of shards) {
    using writer = await ShardWriter.create(path, shard);
    for (const { name, bytes } of shard.units.flatMap(({ plans }) => plans)) {
      for (let at = 0; at < bytes; at += block.length) {
        await writer.write(name, at, block.subarray(0, Math.min(block.length, bytes - at)));
      }
    }
  }
}

function configOf(bytes: number): Record<string, unknown> {
  const vocab = Math.floor(bytes / 4 / (2 * 2 * FULL_SIZE.hidden_size));
  const experts = Math.floor((bytes * 3 / 4 - FIXED_BYTES) / LAYERS.num_hidden_layers / EXPERT_BYTES);
  return { ...FULL_SIZE, ...LAYERS, vocab_size: vocab, num_experts: experts - experts % LAYERS.n_group };
}

/** Values between 1/16 and 1/8 of either sign. */
function randomBf16(count: number): Uint8Array {
  const codes = new Uint16Array(count);
  for (let at = 0; at < count; at += 2 ** 15) crypto.getRandomValues(codes.subarray(at, at + 2 ** 15));
  for (let i = 0; i < count; i++) codes[i] = codes[i]! & 0x807f | 0x3d80;
  return new Uint8Array(codes.buffer);
}

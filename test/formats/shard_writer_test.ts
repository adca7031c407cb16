import { strict as assert } from "node:assert";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import { indexOf, planShards, ShardWriter, unitBytes } from "../../src/formats/shard_writer.ts";
import { folderOf } from "./tiny_checkpoint.ts";

const plan = (name: string, bytes: number) => ({ name, dtype: "U8", shape: [bytes], bytes });
const UNITS = [
  { plans: [plan("a", 6), plan("b", 5)] },
  { plans: [plan("c", 0)] },
  { plans: [plan("d", 4)] },
  { plans: [plan("e", 40)] },
  { plans: [plan("f", 16)] },
];

Deno.test("planShards() fills shards up to the limit, in order, and keeps units whole", () => {
  const shards = planShards(UNITS, 16);
  assert.deepEqual(
    shards.map(({ shard, units }) => [shard, units.flatMap(({ plans }) => plans.map(({ name }) => name)).join("")]),
    [
      ["model-00001-of-00003.safetensors", "abcd"],
      ["model-00002-of-00003.safetensors", "e"],
      ["model-00003-of-00003.safetensors", "f"],
    ],
  );
  assert.equal(unitBytes(UNITS), 71);
});

Deno.test("ShardWriter writes tensors in any order and in pieces, for openCheckpoint() to read", async () => {
  await using folder = await folderOf({});
  const shards = planShards(UNITS, 16);
  for (const shard of shards) {
    using writer = await ShardWriter.create(folder.path, shard);
    for (const { plans } of shard.units.toReversed()) {
      for (const { name, bytes } of plans.toReversed()) {
        for (let at = bytes - 1; at >= 0; at--) await writer.write(name, at, Uint8Array.of(name.charCodeAt(0) + at));
      }
    }
  }
  await Deno.writeTextFile(`${folder.path}/model.safetensors.index.json`, indexOf(shards));
  using checkpoint = await openCheckpoint(folder.path);
  assert.equal(checkpoint.bytes, 71);
  for (const { name, bytes } of UNITS.flatMap(({ plans }) => plans)) {
    const expected = Uint8Array.from({ length: bytes }, (_, at) => name.charCodeAt(0) + at);
    assert.deepEqual(await checkpoint.read(name), expected, name);
  }
});

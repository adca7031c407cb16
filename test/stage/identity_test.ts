/** Which checkpoints are the same model, and which are not. */
import { strict as assert } from "node:assert";
import { modelIdentity } from "../../src/stage/identity.ts";
import {
  type Files,
  folderOf,
  safetensors,
  TINY_CONFIG,
  tinyCheckpoint,
  tinyTensors,
} from "../formats/tiny_checkpoint.ts";

const OPTIONS = { quantize: "none", kvCache: "f32", decay: "serving", ropeScaling: null } as const;

async function hashOf(files: Files): Promise<string> {
  await using folder = await folderOf(files);
  return (await modelIdentity({ model: folder.path, ...OPTIONS })).hash;
}

/** All tensors in one file, in any order. */
const single = (tensors = tinyTensors(), config: object = TINY_CONFIG): Files => ({
  "config.json": JSON.stringify(config),
  "model.safetensors": safetensors(tensors),
});

Deno.test("the same model in other files, in another order or with other words around it is the same", async () => {
  const hash = await hashOf(tinyCheckpoint());
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.equal(await hashOf(single()), hash);
  assert.equal(await hashOf(single(tinyTensors().reverse())), hash);
  assert.equal(
    await hashOf(single(tinyTensors(), { ...TINY_CONFIG, transformers_version: "5", eos_token_id: 3 })),
    hash,
  );
});

Deno.test("a tensor of other bytes or another type, and a configuration that computes otherwise, are another model", async () => {
  const hash = await hashOf(tinyCheckpoint());
  const tensors = tinyTensors();
  for (const i of tensors.keys()) {
    const changed = tensors.with(i, { ...tensors[i]!, data: tensors[i]!.data.map((byte) => byte ^ 1) });
    assert.notEqual(await hashOf(single(changed)), hash, tensors[i]!.name);
  }
  const f16 = tensors.with(0, { ...tensors[0]!, dtype: "F16" });
  assert.notEqual(await hashOf(single(f16)), hash);
  assert.notEqual(await hashOf(single(tensors, { ...TINY_CONFIG, rope_theta: 20000 })), hash);
});

Deno.test("modelIdentity() tells the sizes and how numbers are held, which may change without the hash", async () => {
  await using folder = await folderOf(tinyCheckpoint());
  const plain = await modelIdentity({ model: folder.path, ...OPTIONS });
  const other = await modelIdentity({ model: folder.path, ...OPTIONS, quantize: "q8", ropeScaling: "yarn:4" });
  const { layers, hidden, vocabulary } = plain;
  assert.deepEqual({ layers, hidden, vocabulary }, { layers: 2, hidden: 8, vocabulary: 12 });
  assert.deepEqual(other, { ...plain, quantize: "q8", ropeScaling: "yarn:4" });
});

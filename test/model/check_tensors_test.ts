import assert from "node:assert/strict";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import { checkTensors } from "../../src/model/check_tensors.ts";
import { parseConfig } from "../../src/model/config.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import { folderOf, safetensors, TINY_CONFIG, type TinyTensor, tinyTensors } from "../formats/tiny_checkpoint.ts";

const RING_NANO = new URL("../../models/ring-nano", import.meta.url).pathname;

/** Checks these tensors against the tiny configuration with these changes, and returns the message with FOLDER in it. */
async function check(tensors: readonly TinyTensor[], changes: object = {}): Promise<string | null> {
  await using folder = await folderOf({ "model.safetensors": safetensors(tensors) });
  using checkpoint = await openCheckpoint(folder.path);
  try {
    checkTensors(checkpoint, parseConfig({ ...TINY_CONFIG, ...changes }));
    return null;
  } catch (error) {
    assert.equal((error as Error).name, "CheckpointError");
    return (error as Error).message.replaceAll(folder.path, "FOLDER");
  }
}

/** The tiny checkpoint's tensors with one of them changed, or without it. */
function withTensor(name: string, change: (tensor: TinyTensor) => Partial<TinyTensor> | null): TinyTensor[] {
  return tinyTensors().flatMap((tensor) => {
    const changes = tensor.name === name ? change(tensor) : {};
    return changes === null ? [] : [{ ...tensor, ...changes }];
  });
}

const extra = (name: string): TinyTensor => ({ name, dtype: "F32", shape: [1], data: new Uint8Array(4) });

Deno.test("checkTensors() accepts the embedded model and a sound tiny checkpoint", async () => {
  using checkpoint = await openCheckpoint(RING_NANO);
  checkTensors(checkpoint, await loadConfig(RING_NANO));
  assert.equal(await check(tinyTensors()), null);
});

Deno.test("checkTensors() tolerates prediction layers, buffers, scales of weights that need none, a tied model's head", async () => {
  const more = ["model.layers.2.eh_proj.weight", "model.layers.0.attention.slope", "model.norm.weight_scale"].map(
    extra,
  );
  assert.equal(await check([...tinyTensors(), ...more]), null);
  assert.equal(await check(tinyTensors(), { tie_word_embeddings: true }), null);
});

const NORM = "model.norm.weight";
const F8 = "model.layers.1.attention.dense.weight";

const BAD: readonly (readonly [string, readonly TinyTensor[], object, string])[] = [
  ["a missing tensor", withTensor(NORM, () => null), {}, `Cannot find tensor "${NORM}" in FOLDER`],
  [
    "a wrong shape",
    withTensor(NORM, () => ({ shape: [2, 4] })),
    {},
    `Cannot use tensor "${NORM}" of "model.safetensors" as a weight: its shape is [2,4], and config.json asks for [8]`,
  ],
  [
    "a type that no weight has",
    withTensor(NORM, () => ({ dtype: "I16" })),
    {},
    `Cannot use tensor "${NORM}" of "model.safetensors" as a weight: its dtype is I16, not one of BF16, F16, F32, F8_E4M3`,
  ],
  [
    "missing scales",
    withTensor(`${F8}_scale_inv`, () => null),
    {},
    `Cannot use tensor "${F8}" of "model.safetensors" as a weight: it is F8_E4M3 and has neither "${F8}_scale_inv" nor "${F8}_scale"`,
  ],
  [
    "scales that do not fit",
    withTensor(`${F8}_scale_inv`, () => ({ dtype: "BF16", shape: [2] })),
    {},
    `Cannot use tensor "${F8}_scale_inv" of "model.safetensors" as scales: its shape [2] does not fit a weight of [8,8] in blocks of [128,128]`,
  ],
  [
    "a tensor that is not described",
    [...tinyTensors(), extra("model.layers.0.attention.dense.bias")],
    {},
    'Cannot use FOLDER as a checkpoint of its config.json: that does not describe tensor "model.layers.0.attention.dense.bias"',
  ],
  [
    "another vocabulary, in two tensors",
    tinyTensors(),
    { vocab_size: 13 },
    'Cannot use tensor "model.word_embeddings.weight" of "model.safetensors" as a weight: its shape is [12,8], and ' +
    "config.json asks for [13,8] (and 1 more such problem)",
  ],
  [
    "layers that are not there",
    tinyTensors(),
    { num_hidden_layers: 3, layer_group_size: 3, first_k_dense_replace: 1 },
    'Cannot use tensor "model.layers.1.attention.query_key_value.weight" of "model.safetensors" as a weight: its shape is ' +
    "[16,8], and config.json asks for [24,8] (and 25 more such problems)",
  ],
];

for (const [name, tensors, changes, message] of BAD) {
  Deno.test(`checkTensors() refuses ${name}`, async () => {
    assert.equal(await check(tensors, changes), message);
  });
}

/** Which files a model needs on another computer. */
import { strict as assert } from "node:assert";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import { expectedTensors } from "../../src/model/tensor_names.ts";
import { modelIdentity } from "../../src/stage/identity.ts";
import { checkpointFiles, type FileRange, layerRanges } from "../../src/stage/checkpoint_files.ts";

Deno.test("checkpointFiles() lists what a model needs, and nothing that only lies beside it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for await (const { name, isFile } of Deno.readDir("test/data/tiny/base")) {
      if (isFile) await Deno.copyFile(`test/data/tiny/base/${name}`, `${folder}/${name}`);
    }
    await Deno.mkdir(`${folder}/logs.json`);
    for (
      const name of ["README.md", ".secret.json", "modeling.py", "LICENSE", "chat_template.jinja", "other.safetensors"]
    ) {
      await Deno.writeTextFile(`${folder}/${name}`, "");
    }
    assert.deepEqual((await checkpointFiles(folder)).map(({ name }) => name), [
      ...["LICENSE", "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors.index.json"],
      ...["tokens.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
    ]);
    await Deno.remove(`${folder}/model-00002-of-00002.safetensors`);
    await assert.rejects(checkpointFiles(folder), {
      name: "CheckpointError",
      message: /the download may be incomplete$/,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Copies a checkpoint so that of its weights only these bytes are there; all others are 0. */
async function copyPart(from: string, to: string, ranges: readonly FileRange[]): Promise<void> {
  for (const { name, extracts } of await checkpointFiles(from)) {
    const all = await Deno.readFile(`${from}/${name}`);
    const copy = extracts ? new Uint8Array(all.length) : all;
    for (const { file, start, end } of extracts ? [...extracts, ...ranges] : []) {
      if (file === name) copy.set(all.subarray(start, end), start);
    }
    await Deno.writeFile(`${to}/${name}`, copy);
  }
}

for (const variant of ["base", "flash", "fp8", "nogroup", "odd-heads", "tied", "yarn"]) {
  Deno.test(`a part of a checkpoint has the whole one's identity, and the tensors of its layers (${variant})`, async () => {
    const model = `test/data/tiny/${variant}`;
    const config = await loadConfig(model);
    const identity = (model: string) =>
      modelIdentity({ model, quantize: "none", kvCache: "f32", decay: "serving", ropeScaling: null });
    using whole = await openCheckpoint(model);
    for (const [text, layers] of [["0-0", [0, 1]], [`1-${config.layers - 1}`, [1, config.layers]]] as const) {
      const folder = await Deno.makeTempDir();
      try {
        const ranges = await layerRanges(model, text);
        await copyPart(model, folder, ranges);
        assert.deepEqual(await identity(folder), await identity(model));
        using part = await openCheckpoint(folder);
        const read = [...expectedTensors(config, { start: layers[0], end: layers[1] })];
        for (const { name } of whole.tensors.values()) {
          if (!read.some((expected) => name.startsWith(expected.name.replace(/weight$/, "")))) continue;
          assert.deepEqual(await part.read(name), await whole.read(name), name);
        }
        const bytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
        assert.ok(bytes < whole.bytes, `${bytes} of ${whole.bytes}`);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }
  });
}

Deno.test("layerRanges() refuses layers that the model has not", async () => {
  const model = "test/data/tiny/base";
  const { layers } = await loadConfig(model);
  await assert.rejects(layerRanges(model, `1-${layers}`), RangeError);
  await assert.rejects(layerRanges(model, "../x"), SyntaxError);
});

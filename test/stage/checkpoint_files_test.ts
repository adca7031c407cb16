/** Which files a model needs on another computer. */
import { strict as assert } from "node:assert";
import { checkpointFiles } from "../../src/stage/checkpoint_files.ts";

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
    assert.deepEqual(await checkpointFiles(folder), [
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

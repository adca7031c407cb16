import assert from "node:assert/strict";
import { loadConfig, parseGenerationConfig } from "../../src/model/load_config.ts";
import { folderOf } from "../formats/tiny_checkpoint.ts";
import { MINI } from "./configs.ts";

const RING_NANO = new URL("../../models/ring-nano", import.meta.url).pathname;
const config = JSON.stringify(MINI);

Deno.test("loadConfig() reads the embedded model, and stops on the end tokens of both files", async () => {
  const { layers, eosTokenIds } = await loadConfig(RING_NANO);
  assert.equal(layers, 10);
  assert.deepEqual(eosTokenIds, [4086, 4089]);
});

Deno.test("loadConfig() needs no generation_config.json", async () => {
  await using folder = await folderOf({ "config.json": config });
  assert.deepEqual((await loadConfig(folder.path)).eosTokenIds, [156892]);
});

Deno.test("loadConfig() says what is missing, too large or not JSON", async () => {
  await using folder = await folderOf({});
  const missing = { name: "NotFound", message: `Cannot open ${folder.path} as a model: it has no config.json` };
  await assert.rejects(loadConfig(folder.path), missing);
  await assert.rejects(loadConfig(`${folder.path}/none`), Deno.errors.NotFound);
  const complaint = `Cannot use ${folder.path}/config.json as a model's configuration: `;
  await Deno.writeTextFile(`${folder.path}/config.json`, '{\n"vocab_size": 5,\nNaN}');
  await assert.rejects(loadConfig(folder.path), ({ name, message }: Error) => {
    assert.equal(name, "SyntaxError");
    assert.ok(message.startsWith(complaint) && !message.includes("\n"), message);
    return true;
  });
  await Deno.truncate(`${folder.path}/config.json`, 2 ** 20 + 1);
  await assert.rejects(loadConfig(folder.path), {
    name: "RangeError",
    message: `${complaint}it has 1048577 bytes, and at most 1048576 are read`,
  });
});

Deno.test("parseGenerationConfig() reads one end token, several or none, and nothing else", () => {
  assert.deepEqual(parseGenerationConfig({ eos_token_id: [156892, 156895], temperature: 0.6 }), {
    eosTokenIds: [156892, 156895],
  });
  assert.deepEqual(parseGenerationConfig({ eos_token_id: 7 }), { eosTokenIds: [7] });
  assert.deepEqual(parseGenerationConfig({}), { eosTokenIds: [] });
  assert.throws(() => parseGenerationConfig({ eos_token_id: [1.5] }), {
    name: "TypeError",
    message: 'Cannot use generation_config.json as a model\'s configuration: "eos_token_id" is [1.5], ' +
      "and must be a token id or a list of token ids",
  });
});

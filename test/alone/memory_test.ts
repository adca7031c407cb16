/** What must not fill the process's memory, of which the tests beside it would take some. */
import { strict as assert } from "node:assert";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import { Traffic } from "../../src/server/traffic.ts";
import { folderOf, withHeader } from "../formats/tiny_checkpoint.ts";
import { chatBody, endless, rawPost, send, serveLive, until } from "../server/live_server.ts";
import { content } from "../server/scripted_model.ts";

const resident = () => Deno.memoryUsage().rss;

Deno.test("openCheckpoint() reads no data: a shard of 8 GiB that is all holes opens at once", async () => {
  await using folder = await folderOf({});
  const size = 2 ** 33;
  const header = JSON.stringify({ a: { dtype: "U8", shape: [size / 1024, 1024], data_offsets: [0, size] } });
  const file = `${folder.path}/model.safetensors`;
  await Deno.writeFile(file, withHeader(header));
  await Deno.truncate(file, 8 + header.length + size);
  const before = resident();
  using checkpoint = await openCheckpoint(folder.path);
  assert.deepEqual(await checkpoint.read("a", size / 1024 - 1), new Uint8Array(1024));
  assert.ok(resident() - before < 2 ** 28);
});

Deno.test("what a client does not read is not kept for it", async () => {
  const script = () => endless(content("x".repeat(100_000)));
  await using server = await serveLive(script, { traffic: new Traffic({ stall: 300 }) });
  const before = resident();
  using _idle = await send(server.port, rawPost(chatBody(true)));
  await until(() => server.entries.length === 1, "the end of the request");
  assert.ok(resident() - before < 100e6, "what nobody reads fills the memory");
});

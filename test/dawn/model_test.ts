/** ring-nano on Dawn: golden tokens, a server's answer, and what becomes of a lost or missing device. */
import { strict as assert } from "node:assert";
import { DeviceLostError } from "../../src/backend/backend.ts";
import { ChatTemplate } from "../../src/chat/template.ts";
import { Tokenizer } from "../../src/chat/tokenizer.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import { Chat, openEngine } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";
import { openEcho, ROWS } from "../backend/echo_step.ts";
import { generateOn } from "../command_line.ts";
import { DEVICE_FILE } from "../device_file.ts";
import { checkGolden, MODEL } from "../golden.ts";
import { dawnDevice, SOFTWARE, testOnDawn } from "./library.ts";

testOnDawn("Dawn gives the golden continuations, and a server answers with it", async () => {
  // Short steps have few kernels, which software takes minutes to compile otherwise.
  const engine = await openEngine({
    gpu: "dawn",
    backend: "webgpu",
    deviceFile: DEVICE_FILE,
    chunkRows: SOFTWARE ? 8 : 512,
  });
  const tokenizer = await Tokenizer.fromFile(`${MODEL}/tokenizer.json`);
  const template = await ChatTemplate.fromDirectory(MODEL);
  const { eosTokenIds: stopTokens } = await loadConfig(MODEL);
  await using chat = new Chat({ model: "nano", tokenizer, template, engine, stopTokens });
  await (SOFTWARE ? checkGolden(engine, 1, 8) : checkGolden(engine));
  const app = createApp({ name: "nano", model: () => chat, log: () => {} });
  const messages = [{ role: "user", content: "What is 347 + 2589?" }];
  const body = JSON.stringify({ messages, temperature: 0, chat_template_kwargs: { enable_thinking: false } });
  const headers = { "content-type": "application/json" };
  const answer = await app.fetch(new Request("http://r/v1/chat/completions", { method: "POST", headers, body }));
  assert.match((await answer.json()).choices[0].message.content, /2936/);
});

testOnDawn("a device that is lost in the middle of a step fails it in one sentence, and the next serves", async () => {
  const device = await dawnDevice();
  const lost = await openEcho("dawn", device);
  assert.deepEqual(await lost.run(), ROWS);
  assert.equal(lost.backend.synchronous, true);
  const submit = device.queue.submit.bind(device.queue);
  device.queue.submit = (commands) => {
    submit(commands);
    device.destroy();
  };
  await assert.rejects(lost.run(), (error) => {
    assert.ok(error instanceof DeviceLostError);
    assert.match(error.message, /^The GPU .* was lost \(.+\): its work is gone, start the stage again$/);
    return true;
  });
  await assert.rejects(lost.run(), DeviceLostError);
  const next = await openEcho("dawn", await dawnDevice());
  assert.deepEqual(await next.run(), ROWS);
  next.backend[Symbol.dispose]();
});

Deno.test("without Dawn the command line says in one line how to get it", async () => {
  const [code, complaint] = await generateOn("dawn", { RINGLET_DAWN: "/nowhere/dawn.node" });
  assert.equal(code, 1);
  assert.equal(
    complaint,
    "ringlet: Cannot find Dawn: RINGLET_DAWN names /nowhere/dawn.node, and there is no such file\n",
  );
});

testOnDawn("without an adapter Dawn's user is told what to install", async () => {
  const [code, complaint] = await generateOn("dawn", { VK_DRIVER_FILES: "/dev/null", VK_ICD_FILENAMES: "/dev/null" });
  assert.equal(code, 1);
  assert.match(
    complaint,
    /^ringlet: Cannot open a GPU: there is none; install its Vulkan driver, or use --backend wasm$/m,
  );
}, Deno.build.os === "linux" ? null : "only Vulkan's loader can be told to find nothing");

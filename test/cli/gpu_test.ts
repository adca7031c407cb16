/** Commands that run a model, on the GPU that they are told. */
import { strict as assert } from "node:assert";
import { GPU, testOnGpu } from "../gpu.ts";
import { ran, ringlet, until } from "./process.ts";

const ON_GPU = ["--backend", "webgpu", "--gpu", GPU];
const QUESTION = "Add 4867 and 2759";
const ANSWER = "4867 + 2759 = 7626";

testOnGpu("generate answers on a GPU as it does without one", async () => {
  const { code, out, err } = await ran("generate", QUESTION, ...ON_GPU);
  assert.deepEqual([code, out], [0, `${ANSWER}\n`], err);
});

testOnGpu("bench measures a GPU and what it could do at best", async () => {
  const sizes = ["--prompt-tokens", "16", "--gen-tokens", "4", "--runs", "1"];
  const { code, out, err } = await ran("bench", "--json", ...sizes, ...ON_GPU);
  assert.equal(code, 0, err);
  const { ceilings, model, results: [result] } = JSON.parse(out);
  assert.deepEqual([model.stages[0].backend, model.stages[0].device], ["webgpu", ceilings.device]);
  assert.ok(ceilings.bandwidth > 0 && ceilings.flops > 0 && result.decode.gpuMillis > 0, out);
});

testOnGpu("serve answers from a GPU, streamed and whole", async () => {
  const server = ringlet("serve", "--port", "0", ...ON_GPU);
  const [notes, rest] = server.stderr.tee();
  const [, url] = await until(notes, /at (http:\S+)\n[^]*Ready/);
  const ask = async (stream: boolean) => {
    const body = JSON.stringify({ messages: [{ role: "user", content: QUESTION }], stream });
    const init = { method: "POST", body, headers: { "content-type": "application/json" } };
    return await (await fetch(`${url}/chat/completions`, init)).text();
  };
  assert.equal(JSON.parse(await ask(false)).choices[0].message.content, ANSWER);
  assert.match(await ask(true), /"finish_reason":"stop"[^]+data: \[DONE\]\n\n$/);
  server.kill("SIGINT");
  const [{ code }, , log] = await Promise.all([server.status, server.stdout.cancel(), new Response(rest).text()]);
  assert.equal(code, 0, log);
});

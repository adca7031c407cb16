/** How `ringlet serve` stops, as a process with the embedded model. */
import assert from "node:assert/strict";
import { startServe } from "./serve_process.ts";

const headers = { "content-type": "application/json" };

/** A story that never ends by itself: both tokens that would end it are impossible. */
function story(tokens: number): RequestInit {
  const body = { prompt: "Once", max_tokens: tokens, stream: true, logit_bias: { "4086": -100, "4089": -100 } };
  return { method: "POST", headers, body: JSON.stringify(body) };
}

/** Reads a stream's first event and gives the rest of its text. */
async function begin(url: string, tokens: number): Promise<() => Promise<string>> {
  const response = await fetch(`${url}/v1/completions`, story(tokens));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  return async () => {
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    return text;
  };
}

Deno.test({
  name: "serve ends in order at SIGTERM: answers that run get their time, new ones are refused, and it exits 0",
  ignore: Deno.build.os === "windows", // which has no SIGTERM
  fn: async () => {
    await using server = await startServe(["--max-sequences", "2"]);
    const rest = await begin(server.url, 400);
    server.process.kill("SIGTERM");
    let health = await fetch(`${server.url}/health`);
    while (health.status === 200) { // the signal may take a moment
      await health.body?.cancel();
      health = await fetch(`${server.url}/health`);
    }
    assert.deepEqual([health.status, await health.json()], [503, { status: "draining" }]);
    const refused = await fetch(`${server.url}/v1/completions`, story(1));
    assert.deepEqual([refused.status, (await refused.json()).error.code], [503, "draining"]);
    assert.match(await rest(), /"finish_reason":"length"[^]*\[DONE\]/);
    const { code } = await server.process.status;
    assert.equal(code, 0, server.said());
    assert.doesNotMatch(server.said(), /at file:/);
  },
});

Deno.test({
  name: "serve ends answers that outlast --drain-timeout, and a second signal ends everything",
  ignore: Deno.build.os === "windows", // which has no SIGTERM
  fn: async () => {
    {
      await using server = await startServe(["--drain-timeout", "0.3"]);
      const rest = await begin(server.url, 7000);
      server.process.kill("SIGTERM");
      assert.match(await rest(), /"code":"draining"/);
      assert.equal((await server.process.status).code, 0, server.said());
    }
    await using server = await startServe([]);
    const rest = await begin(server.url, 7000);
    server.process.kill("SIGINT");
    while (!server.said().includes("again to stop at once")) await new Promise((resolve) => setTimeout(resolve, 5));
    server.process.kill("SIGINT");
    assert.equal((await server.process.status).code, 130);
    await assert.rejects(rest());
  },
});

/** The server while its model is loaded: it listens from the start, and says that it is not ready. */
import assert from "node:assert/strict";
import type { Model } from "../../src/cli/host.ts";
import { ringlet } from "./fake_host.ts";

/** A free port, as far as one can know. */
function freePort(): number {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  return listener.addr.port;
}

Deno.test("serve answers 503 until its model is loaded, and exits 1 with the reason if it cannot be", async () => {
  const loading = Promise.withResolvers<Model>();
  const port = freePort();
  const asked = Promise.withResolvers<void>();
  const load = () => {
    asked.resolve();
    return loading.promise;
  };
  const serving = ringlet(["serve", "--port", String(port)], { host: { load } });
  await asked.promise;
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 3; i++) {
    const health = await fetch(`${url}/health`);
    assert.equal(health.status, 503);
    assert.deepEqual(await health.json(), { status: "loading" });
  }
  const body = JSON.stringify({ messages: [{ role: "user", content: "Hi" }] });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", body, headers });
  assert.equal(answer.status, 503);
  assert.equal((await answer.json()).error.code, "loading");
  loading.reject(new Error("Cannot hold layers 0-9"));
  const { code, err } = await serving;
  assert.equal(code, 1);
  assert.match(err, /Serving ring-nano at .*\n(\{.*\n)*ringlet: Cannot hold layers 0-9\n$/);
});

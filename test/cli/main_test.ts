import assert from "node:assert/strict";
import { ran, ringlet, until } from "./process.ts";

Deno.test("main.ts prints the embedded model's answer and exits 0", async () => {
  const { code, out } = await ran("generate", "Add 4867 and 2759");
  assert.deepEqual([code, out], [0, "4867 + 2759 = 7626\n"]);
});

Deno.test("main.ts exits 1 with one line that says what to change for more sequences than memory holds", async () => {
  const { code, out, err } = await ran("serve", "--port", "0", "--backend", "wasm", "--max-sequences", "100000");
  assert.deepEqual([code, out], [1, ""]);
  assert.match(err, /\nringlet: Cannot hold layer 0 on a WASM memory: [^\n]+; use fewer --max-sequences\n$/);
});

Deno.test("main.ts exits 1 with one line for a model that is not there, 2 for wrong use", async () => {
  const failed = await ran("generate", "--model", "/nowhere", "Hi");
  assert.deepEqual([failed.code, failed.out], [1, ""]);
  assert.match(failed.err, /^ringlet: [^\n]+\/nowhere[^\n]*\n$/);
  const misused = await ran("generat");
  assert.equal(misused.code, 2);
  assert.match(misused.err, /^ringlet: [^\n]+Did you mean generate[^\n]+\n$/);
});

Deno.test("serve answers over HTTP; Ctrl-C lets a running answer end, then it exits 0", async () => {
  const server = ringlet("serve", "--port", "0");
  const [notes, rest] = server.stderr.tee();
  const [, url] = await until(notes, /at (http:\S+)\n[^]*Ready/);
  const body = JSON.stringify({ messages: [{ role: "user", content: "Add 4867 and 2759" }], stream: true });
  const init = { method: "POST", body, headers: { "content-type": "application/json" } };
  const answer = await fetch(`${url}/chat/completions`, init);
  server.kill("SIGINT");
  assert.match(await answer.text(), /"finish_reason":"stop"[^]+data: \[DONE\]\n\n$/);
  const [{ code }, , log] = await Promise.all([server.status, server.stdout.cancel(), new Response(rest).text()]);
  assert.equal(code, 0);
  assert.match(log, /"path":"\/v1\/chat\/completions","status":200,"millis":\d+,"promptTokens":\d+/);
});

Deno.test("Ctrl-C ends an answer cleanly with 130", async () => {
  const child = ringlet("generate", "--raw", "--max-tokens", "7000", "Add 4867 and 2759 and");
  const reader = child.stdout.getReader();
  await reader.read();
  child.kill("SIGINT");
  while (!(await reader.read()).done);
  const [{ code }] = await Promise.all([child.status, child.stderr.cancel()]);
  assert.equal(code, 130);
});

/** What whoever runs a server needs of it: figures, keys, ids and headers. */
import assert from "node:assert/strict";
import { EngineBusyError, EngineUnavailableError, TooLongError } from "../../src/chat/request_error.ts";
import { ask, serveLive } from "./live_server.ts";
import { content, finish, forever, usage as prompted } from "./scripted_model.ts";

const answer = [content("Hello"), finish];
const busy = () => Promise.reject(new EngineBusyError("Cannot take another request: 3 are waiting already"));

/** The value of a series, as Prometheus' text has it. */
function figure(text: string, series: string): number {
  const line = text.split("\n").find((line) => line.startsWith(`${series} `));
  assert.ok(line !== undefined, `${series} is not in\n${text}`);
  return Number(line.slice(series.length + 1));
}

Deno.test("GET /metrics counts requests by how they ended, their tokens and their times", async () => {
  const usage = { ...prompted, cachedTokens: 4 };
  const scripts = [answer, [content("a"), { ...finish, reason: "length", usage } as const], [busy], [
    () => Promise.reject(new Error("broken")),
  ], [content("a"), forever]];
  await using server = await serveLive(() => scripts.shift()!);
  for (const stream of [false, true, false, true]) await (await ask(server.url, stream)).text();
  const leave = new AbortController();
  const left = ask(server.url, true, { signal: leave.signal }).then((response) => response.text());
  setTimeout(() => leave.abort(), 50);
  await assert.rejects(left, { name: "AbortError" });
  while (server.entries.length < 5) await new Promise((resolve) => setTimeout(resolve, 5));
  await (await ask(server.url, false, { body: "{}" })).text();
  const response = await fetch(`${server.url}/metrics`);
  assert.match(response.headers.get("content-type")!, /^text\/plain; version=0.0.4/);
  const text = await response.text();
  for (const reason of ["stop", "length", "refused", "error", "client_left"]) {
    assert.equal(figure(text, `ringlet_requests_total{reason="${reason}"}`), 1);
  }
  assert.equal(figure(text, 'ringlet_http_responses_total{status="400"}'), 1);
  assert.equal(figure(text, "ringlet_prompt_tokens_total"), 14);
  assert.equal(figure(text, "ringlet_cached_tokens_total"), 4);
  assert.equal(figure(text, "ringlet_generated_tokens_total"), 6);
  assert.equal(figure(text, "ringlet_time_to_first_token_seconds_count"), 3);
  assert.equal(figure(text, "ringlet_time_per_output_token_seconds_sum"), 0.001); // 1 ms for two tokens, twice
  assert.equal(figure(text, "ringlet_request_seconds_count"), 2);
  assert.ok(figure(text, "process_resident_memory_bytes") > 1e6);
});

Deno.test("GET /metrics tells what the engine does, as far as there is one", async () => {
  await using server = await serveLive(answer);
  const text = await (await fetch(`${server.url}/metrics`)).text();
  assert.equal(figure(text, "ringlet_slots"), 2);
  assert.equal(figure(text, "ringlet_sequences_running"), 0);
  assert.equal(figure(text, "ringlet_sequences_waiting"), 0);
  assert.equal(figure(text, "ringlet_engine_steps_total"), 5);
  assert.equal(figure(text, "ringlet_engine_rows_total"), 12);
  assert.equal(figure(text, "ringlet_preemptions_total"), 3);
  assert.equal(figure(text, 'ringlet_device_memory_bytes{stage="0",kind="weights"}'), 1);
  assert.equal(figure(text, 'ringlet_prefix_cache_bytes{memory="host"}'), 90);
  const again = await (await fetch(`${server.url}/metrics`)).text();
  assert.equal(figure(again, "ringlet_engine_steps_total"), 5);
  assert.equal(figure(again, 'ringlet_prefix_cache_hits_total{memory="device"}'), 4);
  assert.equal(figure(again, 'ringlet_prefix_cache_hits_total{memory="host"}'), 2);
  await using loading = await serveLive(answer, { model: () => null });
  assert.equal((await fetch(`${loading.url}/metrics`)).status, 200);
});

Deno.test("a request that would wait too long gets 429, and when to come again", async () => {
  await using server = await serveLive([busy]);
  for (const stream of [false, true]) {
    const refused = await ask(server.url, stream);
    assert.deepEqual([refused.status, refused.headers.get("retry-after")], [429, "2"]);
    const { error } = await refused.json();
    assert.deepEqual([error.type, error.code], ["rate_limit_error", "queue_full"]);
    assert.match(error.message, /3 are waiting/);
  }
});

Deno.test("a request for which stages are not there gets 503, and when to come again", async () => {
  const absent = new EngineUnavailableError("Nobody has layers 10-19 of ring in pool default");
  await using server = await serveLive([() => Promise.reject(absent)]);
  for (const stream of [false, true]) {
    const refused = await ask(server.url, stream);
    assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "2"]);
    const { error } = await refused.json();
    assert.deepEqual([error.type, error.code, error.message], ["server_error", "unavailable", absent.message]);
  }
});

Deno.test("a request that is longer than there is memory for gets 400, and how much there is", async () => {
  await using server = await serveLive([() => Promise.reject(new TooLongError("Cannot go on: 160 tokens only"))]);
  const refused = await ask(server.url, false);
  assert.equal(refused.status, 400);
  const { error } = await refused.json();
  assert.deepEqual([error.code, error.message], ["context_length_exceeded", "Cannot go on: 160 tokens only"]);
});

Deno.test("any of several keys opens /v1 and every POST; all else is open", async () => {
  await using server = await serveLive(answer, { apiKeys: ["first", "second key"] });
  const status = async (path: string, authorization: string | null, method = "GET") => {
    const headers = authorization === null ? {} : { authorization };
    const response = await fetch(`${server.url}${path}`, { method, headers });
    await response.body?.cancel();
    return response.status;
  };
  for (const key of ["first", "second key"]) assert.equal(await status("/v1/models", `Bearer ${key}`), 200);
  assert.equal(await status("/v1/models", "bearer first"), 200);
  for (
    const wrong of [null, "Bearer", "Bearer ", "Bearer firs", "Bearer first2", "Bearer second", "Basic first", "first"]
  ) {
    assert.equal(await status("/v1/models", wrong), 401, `${wrong}`);
    assert.equal(await status("/v1/chat/completions", wrong, "POST"), 401, `${wrong}`);
    assert.equal(await status("/tokenize", wrong, "POST"), 401, `${wrong}`);
  }
  for (const path of ["/%761/models", "/v1/%6dodels", "//v1/models", "/v1/../v1/models", "/V1/models", "/v1//models"]) {
    assert.ok([401, 404].includes(await status(path, null)), path);
  }
  for (const path of ["/health", "/health/live", "/metrics", "/openapi.json"]) {
    assert.equal(await status(path, null), 200);
  }
});

Deno.test("a client's own request id is kept if it is harmless", async () => {
  await using server = await serveLive(answer);
  const ids: Record<string, boolean> = { "trace-1.a:b/c": true, "a b": false, ['"}']: false, ["x".repeat(129)]: false };
  for (const [id, kept] of Object.entries(ids)) {
    const response = await ask(server.url, false, { headers: { "x-request-id": id } });
    await response.body?.cancel();
    const got = response.headers.get("x-request-id")!;
    assert.equal(got === id, kept, got);
    assert.equal(server.entries.at(-1)?.id, got);
    if (!kept) assert.match(got, /^req_[0-9a-f]{32}$/);
  }
});

Deno.test("every reply, errors and streams included, tells browsers to do nothing with it", async () => {
  await using server = await serveLive(answer);
  const replies = [
    await fetch(`${server.url}/health`),
    await fetch(`${server.url}/nothing`),
    await fetch(`${server.url}/v1/models`, { method: "DELETE" }),
    await ask(server.url, true),
    await ask(server.url, false, { body: "{" }),
  ];
  for (const reply of replies) {
    await reply.body?.cancel();
    assert.equal(reply.headers.get("x-content-type-options"), "nosniff", reply.url);
    assert.equal(reply.headers.get("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
    assert.equal(reply.headers.get("referrer-policy"), "no-referrer");
    assert.equal(reply.headers.get("access-control-allow-origin"), null);
  }
});

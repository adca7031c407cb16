/** The HTTP API around its routes: what is where, who may ask, what goes wrong, what is logged. */
import assert from "node:assert/strict";
import { content, finish, forever } from "./scripted_model.ts";
import { events, hello, question, refused, serve } from "./serve.ts";

Deno.test("bodies that are too large or not JSON get 413 and 415", async () => {
  const { ask } = serve(hello, { maxBodyBytes: 100 });
  await refused(await ask({ ...question, user: "x".repeat(100) }), 413);
  const error = await refused(await ask(question, { headers: { "content-type": "text/plain" } }), 415);
  assert.match(error.message, /text\/plain/);
});

Deno.test("unknown models, URLs and methods get 404 and 405 as JSON", async () => {
  const { app, ask } = serve();
  const error = await refused(await ask({ ...question, model: "gpt" }), 404);
  assert.deepEqual([error.param, error.code], ["model", "model_not_found"]);
  await refused(await app.request("/v1/models/gpt"), 404);
  assert.equal((await refused(await app.request("/v1/nothing"), 404)).code, "unknown_url");
  const wrong = await app.request("/v1/chat/completions");
  assert.equal(wrong.headers.get("allow"), "POST");
  await refused(wrong, 405);
});

Deno.test("GET /v1/models lists the model and describes it by name", async () => {
  const { app } = serve(hello, { name: "inclusion/nano" });
  const { object, data } = await (await app.request("/v1/models")).json();
  assert.equal(object, "list");
  assert.equal(data[0].id, "inclusion/nano");
  const one = await app.request("/v1/models/inclusion%2Fnano");
  assert.deepEqual(await one.json(), data[0]);
});

Deno.test("before the model is warm, health and completions answer 503", async () => {
  const warming = serve(hello, { model: () => null });
  assert.equal((await warming.app.request("/health")).status, 503);
  assert.equal((await refused(await warming.ask(question), 503)).type, "server_error");
  const { app } = serve();
  const health = await app.request("/health");
  assert.deepEqual([health.status, await health.json()], [200, { status: "ok" }]);
});

Deno.test("while stages are missing, health answers 503 and says which, and requests may wait for them", async () => {
  let missing: string | null = "Waiting for layers 10-19 of nano in pool default";
  const { app, ask } = serve(hello, { waiting: () => missing });
  const health = async () => {
    const response = await app.request("/health");
    return [response.status, await response.json()];
  };
  assert.deepEqual(await health(), [503, { status: "waiting", waiting_for: missing }]);
  assert.equal((await app.request("/health/live")).status, 200);
  assert.equal((await ask(question)).status, 200);
  missing = null;
  assert.deepEqual(await health(), [200, { status: "ok" }]);
});

Deno.test("after the model has stopped, health and completions answer 503 and say so", async () => {
  const { app, ask, model } = serve();
  model.failure = new Error("The engine stopped: the device was lost");
  const health = await app.request("/health");
  assert.deepEqual([health.status, await health.json()], [503, { status: "stopped" }]);
  assert.equal((await refused(await ask(question), 503)).code, "stopped");
});

Deno.test("with an API key, /v1 needs it and /health does not", async () => {
  const { app, ask } = serve(hello, { apiKeys: ["secret"] });
  assert.match((await refused(await ask(question), 401)).message, /Missing API key/);
  const wrong = await ask(question, { headers: { authorization: "Bearer wrong" } });
  assert.equal((await refused(wrong, 401)).code, "invalid_api_key");
  assert.equal((await ask(question, { headers: { authorization: "Bearer secret" } })).status, 200);
  assert.equal((await app.request("/health")).status, 200);
});

Deno.test("only the given origin may call from a page, errors included", async () => {
  const { app, ask } = serve(hello, { corsOrigin: "https://a.example", apiKeys: ["secret"] });
  const preflight = await app.request("/v1/models", {
    method: "OPTIONS",
    headers: { origin: "https://a.example", "access-control-request-method": "GET" },
  });
  assert.equal(preflight.status, 204);
  const response = await ask(question, { headers: { origin: "https://a.example" } });
  assert.equal(response.status, 401);
  assert.equal(response.headers.get("access-control-allow-origin"), "https://a.example");
  assert.equal((await serve().ask(question)).headers.get("access-control-allow-origin"), null);
});

Deno.test("what the model throws is a 500 without its text, and the log keeps the error", async () => {
  const failure = new TypeError("secret detail");
  for (const stream of [false, true]) {
    const { ask, entries } = serve([() => Promise.reject(failure)]);
    const error = await refused(await ask({ ...question, stream }), 500);
    assert.doesNotMatch(error.message, /secret/);
    assert.equal(entries[0]?.error, failure);
  }
});

Deno.test("a failure after the first delta ends the stream with an error event", async () => {
  const { ask, entries } = serve([content("a"), () => Promise.reject(new Error("lost"))]);
  const all = await events(await ask({ ...question, stream: true }));
  assert.equal(all.at(-1).error.type, "server_error");
  assert.deepEqual(entries.map(({ status }) => status), [500]);
});

Deno.test("cancelling the stream ends the generation", async () => {
  const { ask, model, entries } = serve([content("a"), content("b"), content("c"), finish]);
  const reader = (await ask({ ...question, stream: true })).body!.getReader();
  await reader.read();
  assert.equal(model.running, 1);
  await reader.cancel();
  assert.deepEqual([model.running, model.cut], [0, 1]);
  assert.deepEqual(entries.map(({ status }) => status), [499]);
});

Deno.test("a client that leaves an unstreamed request ends the generation, and the log says 499", async () => {
  const { ask, model, entries } = serve([content("a"), forever]);
  const client = new AbortController();
  const waiting = ask(question, { signal: client.signal });
  while (model.running === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  client.abort();
  await waiting;
  assert.equal(model.running, 0);
  assert.deepEqual(entries.map(({ status }) => status), [499]);
});

Deno.test("each request is logged once, with its id, its tokens and none of its text", async () => {
  const { ask, entries } = serve();
  const responses = [];
  for (const body of [question, { ...question, stream: true }, {}]) {
    const response = await ask(body);
    await response.text();
    responses.push(response);
  }
  assert.deepEqual(entries.map(({ status, completionTokens }) => [status, completionTokens]), [
    [200, 3],
    [200, 3],
    [400, undefined],
  ]);
  assert.deepEqual(entries.map(({ id }) => id), responses.map(({ headers }) => headers.get("x-request-id")));
  assert.doesNotMatch(JSON.stringify(entries), /Hi|Hello/);
});

Deno.test("GET /openapi.json describes every route from the schemas", async () => {
  const { app } = serve();
  const document = await (await app.request("/openapi.json")).json();
  assert.deepEqual(Object.keys(document.paths), [
    "/health",
    "/health/live",
    "/v1/models",
    "/v1/models/{id}",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/tokenize",
    "/detokenize",
    "/metrics",
  ]);
  const request = document.components.schemas.ChatCompletionRequest;
  assert.equal(request.additionalProperties, false);
  assert.deepEqual(request.required, ["messages"]);
  assert.equal(request.properties.temperature.maximum, 2);
});

import assert from "node:assert/strict";
import type { ChatRequest } from "../../src/chat/messages.ts";
import { RequestError } from "../../src/chat/request_error.ts";
import { content, finish, forever, type Script } from "./scripted_model.ts";
import { events, hello, question, refused, serve } from "./serve.ts";

Deno.test("POST /v1/chat/completions folds the deltas into one reply", async () => {
  const { ask } = serve();
  const reply = await (await ask(question)).json();
  assert.match(reply.id, /^chatcmpl-/);
  assert.equal(reply.object, "chat.completion");
  assert.equal(reply.model, "nano");
  assert.deepEqual(reply.choices, [{
    index: 0,
    message: { role: "assistant", content: "Hello", reasoning_content: "hm", refusal: null },
    logprobs: null,
    finish_reason: "stop",
  }]);
  assert.deepEqual(reply.usage, {
    prompt_tokens: 7,
    completion_tokens: 3,
    total_tokens: 10,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 1 },
  });
});

Deno.test("POST /v1/chat/completions streams role, deltas, finish reason, usage and [DONE]", async () => {
  const { ask } = serve();
  const response = await ask({ ...question, stream: true, stream_options: { include_usage: true } });
  assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
  const all = await events(response);
  const done = all.pop();
  const last = all.pop();
  assert.equal(done, "[DONE]");
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.total_tokens, 10);
  assert.deepEqual(all.map((chunk) => chunk.choices[0].delta), [
    { role: "assistant", content: "" },
    { reasoning_content: "hm" },
    { content: "Hel" },
    { content: "lo" },
    {},
  ]);
  assert.deepEqual(all.map((chunk) => chunk.choices[0].finish_reason), [null, null, null, null, "stop"]);
  assert.equal(new Set([...all, last].map((chunk) => chunk.id)).size, 1);
  assert.ok(all.every((chunk) => chunk.usage === null && chunk.object === "chat.completion.chunk"));
});

Deno.test("a stream without include_usage has no usage", async () => {
  const { ask } = serve();
  const all = await events(await ask({ ...question, stream: true }));
  assert.ok(all.slice(0, -1).every((chunk) => chunk.choices.length === 1 && !("usage" in chunk)));
});

Deno.test("tool calls come whole in a reply and in pieces in a stream", async () => {
  const script: Script = [
    { type: "tool_call", index: 0, id: "call_1", name: "add", arguments: "" },
    { type: "tool_call", index: 0, arguments: '{"a":1}' },
    { ...finish, reason: "tool_calls" } as typeof finish,
  ];
  const { ask } = serve(script);
  const { choices: [choice] } = await (await ask(question)).json();
  assert.equal(choice.finish_reason, "tool_calls");
  assert.equal(choice.message.content, null);
  assert.deepEqual(choice.message.tool_calls, [
    { id: "call_1", type: "function", function: { name: "add", arguments: '{"a":1}' } },
  ]);
  const all = await events(await ask({ ...question, stream: true }));
  assert.deepEqual(all.slice(1, 3).map((chunk) => chunk.choices[0].delta.tool_calls[0]), [
    { index: 0, id: "call_1", type: "function", function: { name: "add", arguments: "" } },
    { index: 0, function: { arguments: '{"a":1}' } },
  ]);
});

Deno.test("log-probabilities come in OpenAI's shape, with -9999 for minus infinity", async () => {
  const token = { token: "a", bytes: [97], logprob: -0.5 };
  const other = { token: "b", bytes: [98], logprob: -Infinity };
  const { ask } = serve([
    { type: "content", text: "a", logprobs: [{ ...token, offset: 0, top: [token, other] }] },
    finish,
  ]);
  const { choices: [choice] } = await (await ask({ ...question, logprobs: true, top_logprobs: 2 })).json();
  assert.deepEqual(choice.logprobs, {
    content: [{ ...token, top_logprobs: [token, { ...other, logprob: -9999 }] }],
    refusal: null,
  });
});

Deno.test("every field arrives at the model translated", async () => {
  const { ask, model } = serve();
  const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
  const f = { type: "function", function: { name: "f", parameters: { type: "object" } } };
  const response = await ask({
    messages: [
      { role: "developer", content: "Be brief" },
      { role: "user", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] },
      { role: "assistant", content: null, reasoning_content: "r", tool_calls: [call], refusal: null },
      { role: "tool", content: "1", tool_call_id: "c" },
    ],
    model: "nano",
    temperature: 0.5,
    top_p: 0.9,
    top_k: -1,
    min_p: 0.1,
    repetition_penalty: 1.1,
    presence_penalty: 1,
    frequency_penalty: -1,
    logit_bias: { "99": 5 },
    seed: 7,
    stop: ["x", "y"],
    max_tokens: 5,
    max_completion_tokens: 6,
    logprobs: true,
    top_logprobs: 3,
    tools: [f],
    tool_choice: "auto",
    chat_template_kwargs: { enable_thinking: false, thinking_budget: 9 },
    n: 1,
    response_format: { type: "text" },
    user: "someone",
    metadata: { a: "b" },
  });
  assert.equal(response.status, 200);
  assert.deepEqual(model.requests, [{
    messages: [
      { role: "system", content: "Be brief" },
      { role: "user", content: "a\nb" },
      { role: "assistant", content: "", reasoning_content: "r", tool_calls: [call] },
      { role: "tool", content: "1", tool_call_id: "c" },
    ],
    sampling: {
      temperature: 0.5,
      topP: 0.9,
      topK: 0,
      minP: 0.1,
      repetitionPenalty: 1.1,
      presencePenalty: 1,
      frequencyPenalty: -1,
      logitBias: [[99, 5]],
      seed: 7,
    },
    maxTokens: 6,
    stop: ["x", "y"],
    tools: [f],
    thinking: false,
    thinkBudget: 9,
    logprobs: 3,
  }]);
});

Deno.test("formats, tool choices and strict tools arrive at the model", async () => {
  const { ask, model } = serve();
  const schema = { type: "object" };
  const tools = [{ type: "function", function: { name: "f", parameters: schema, strict: true } }];
  const bodies = [
    { response_format: { type: "json_object" } },
    { response_format: { type: "json_schema", json_schema: { name: "s", schema, strict: true } } },
    { response_format: { type: "json_schema", json_schema: { name: "s" } } },
    { tools, tool_choice: "required" },
    { tools, tool_choice: { type: "function", function: { name: "f" } } },
  ];
  for (const body of bodies) assert.equal((await ask({ ...question, ...body })).status, 200);
  const asked = model.requests.map(({ messages: _, sampling: _s, ...rest }: Partial<ChatRequest>) => rest);
  assert.deepEqual(asked, [
    { responseFormat: { type: "json_object" } },
    { responseFormat: { type: "json_schema", schema, strict: true } },
    { responseFormat: { type: "json_object" } },
    { tools, toolChoice: "required" },
    { tools, toolChoice: { name: "f" } },
  ]);
});

Deno.test("null means left out, and tool_choice none hides the tools", async () => {
  const { ask, model } = serve();
  const tools = [{ type: "function", function: { name: "f" } }];
  const response = await ask({ ...question, temperature: null, stop: null, seed: null, tools, tool_choice: "none" });
  assert.equal(response.status, 200);
  assert.deepEqual(model.requests, [{ messages: question.messages, sampling: {} }]);
});

Deno.test("invalid requests are refused with the field's name", async () => {
  const { ask, model } = serve();
  const image = { type: "image_url", image_url: { url: "data:" } };
  const cases: [param: string | null, message: RegExp, body: unknown][] = [
    ["messages", /Missing required field messages/, {}],
    ["messages", />=1 items/, { messages: [] }],
    ["messages[0].role", /"bot": expected one of system/, { messages: [{ role: "bot", content: "" }] }],
    ["messages[0].content", /string or an array of text parts/, { messages: [{ role: "user", content: 5 }] }],
    ["messages[0].content", /Missing required/, { messages: [{ role: "user" }] }],
    ["messages[0].content[0].type", /"image_url": only text parts/, { messages: [{ role: "user", content: [image] }] }],
    ["messages[0].tool_call_id", /Missing/, { messages: [{ role: "tool", content: "" }] }],
    ["temperature", /3: too big/, { ...question, temperature: 3 }],
    ["temperature", /expected number, received string/, { ...question, temperature: "hot" }],
    ["top_p", /too small/, { ...question, top_p: 0 }],
    ["seed", /too big/, { ...question, seed: 1e300 }],
    ["n", /17: too big/, { ...question, n: 17 }],
    ["stop", /a string or an array of strings/, { ...question, stop: 4 }],
    ["stop[1]", />=1 characters/, { ...question, stop: ["a", ""] }],
    ["logit_bias.-1", /expected a token id/, { ...question, logit_bias: { "-1": 1 } }],
    ["max_tokens", /too small/, { ...question, max_tokens: 0 }],
    ["top_logprobs", /2: it needs logprobs: true/, { ...question, top_logprobs: 2 }],
    ["top_logprobs", /too big/, { ...question, logprobs: true, top_logprobs: 21 }],
    ["reasoning_effort", /"huge": .*expected one of/, { ...question, reasoning_effort: "huge" }],
    ["stream_options.continuous_usage_stats", /not supported/, {
      ...question,
      stream: true,
      stream_options: { continuous_usage_stats: true },
    }],
    ["tool_choice", /"any": expected "auto", "none", "required" or a function/, { ...question, tool_choice: "any" }],
    ["response_format.type", /"xml": expected one of text, json_object/, {
      ...question,
      response_format: { type: "xml" },
    }],
    ["response_format.json_schema", /^Missing/, { ...question, response_format: { type: "json_schema" } }],
    ["chat_template_kwargs.x", /not supported/, { ...question, chat_template_kwargs: { x: 1 } }],
    ["tools[0].function.name", /letters, digits/, {
      ...question,
      tools: [{ type: "function", function: { name: "" } }],
    }],
    [null, /expected object, received array/, []],
    [null, /not JSON/, "{"],
    [null, /not JSON/, ""],
    [null, /not UTF-8/, new Uint8Array([0x22, 0xff, 0x22])],
    [null, /more than 64 levels/, "[".repeat(50_000) + "]".repeat(50_000)],
  ];
  for (const [param, message, body] of cases) {
    const error = await refused(await ask(body), 400);
    assert.equal(error.param, param, error.message);
    assert.match(error.message, message);
    assert.equal(error.type, "invalid_request_error");
  }
  assert.equal(model.requests.length, 0);
});

Deno.test("what the chat layer refuses is a 400 with the field's name", async () => {
  for (const stream of [false, true]) {
    const { ask } = serve([() => Promise.reject(new RequestError("Cannot use 100", "sampling"))]);
    const error = await refused(await ask({ ...question, stream }), 400);
    assert.deepEqual([error.param, error.message], ["logit_bias", "Cannot use 100"]);
  }
});

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

/** Chat completions: the model's deltas in OpenAI's shape, folded and streamed. */
import assert from "node:assert/strict";
import { finish, type Script } from "./scripted_model.ts";
import { events, question, serve } from "./serve.ts";

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

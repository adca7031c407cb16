/** Chat completions: how each field of a request reaches the model, and what is refused with the field's name. */
import assert from "node:assert/strict";
import type { ChatRequest } from "../../src/chat/messages.ts";
import { RequestError } from "../../src/chat/request_error.ts";
import { question, refused, serve } from "./serve.ts";

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

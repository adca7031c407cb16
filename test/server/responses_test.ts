import assert from "node:assert/strict";
import OpenAI from "openai";
import { createApp } from "../../src/server/app.ts";
import type { TokenLogprob } from "../../src/chat/messages.ts";
import { content, finish, type Script, ScriptedModel } from "./scripted_model.ts";
import { refused, serve } from "./serve.ts";

const reasoned: Script = [{ type: "reasoning", text: "h" }, { type: "reasoning", text: "m" }];
const call: Script = [
  { type: "tool_call", index: 0, id: "call_1", name: "add", arguments: "" },
  { type: "tool_call", index: 0, arguments: '{"a":' },
  { type: "tool_call", index: 0, arguments: "1}" },
];
const another: Script = [{ type: "tool_call", index: 1, id: "call_2", name: "add", arguments: "{}" }];
const everything: Script = [...reasoned, content("Hel"), content("lo"), ...call, ...another, finish];

interface Event {
  readonly type: string;
  readonly sequence_number: number;
  readonly [field: string]: unknown;
}

/** The parsed events, whose names are their types. */
async function typedEvents(response: Response): Promise<Event[]> {
  const text = await response.text();
  return text.trimEnd().split("\n\n").map((event) => {
    const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(event)!;
    const parsed = JSON.parse(data!);
    assert.equal(parsed.type, name);
    return parsed;
  });
}

/** Without what is new each time. */
const known = (items: { id?: string }[]) => items.map(({ id: _, ...item }) => item);

Deno.test("POST /v1/responses gives items in the order in which they were said", async () => {
  const { post } = serve(everything);
  const reply = await (await post("/v1/responses", { input: "Hi", instructions: "Be brief", metadata: { a: "b" } }))
    .json();
  assert.match(reply.id, /^resp_/);
  assert.deepEqual(known(reply.output), [
    { type: "reasoning", status: "completed", summary: [], content: [{ type: "reasoning_text", text: "hm" }] },
    {
      type: "message",
      status: "completed",
      role: "assistant",
      content: [{ type: "output_text", text: "Hello", annotations: [], logprobs: [] }],
    },
    { type: "function_call", status: "completed", call_id: "call_1", name: "add", arguments: '{"a":1}' },
    { type: "function_call", status: "completed", call_id: "call_2", name: "add", arguments: "{}" },
  ]);
  assert.deepEqual(reply.usage, {
    input_tokens: 7,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 3,
    output_tokens_details: { reasoning_tokens: 1 },
    total_tokens: 10,
  });
  assert.deepEqual(
    [reply.status, reply.store, reply.instructions, reply.metadata],
    ["completed", false, "Be brief", { a: "b" }],
  );
});

Deno.test("a stream of a response adds, grows and ends item after item, numbered", async () => {
  const { post } = serve(everything);
  const all = await typedEvents(await post("/v1/responses", { input: "Hi", stream: true }));
  assert.deepEqual(all.map(({ type }) => type.replace("response.", "")), [
    ...["created", "in_progress"],
    ...["output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta"],
    ...["reasoning_text.done", "content_part.done", "output_item.done"],
    ...["output_item.added", "content_part.added", "output_text.delta", "output_text.delta"],
    ...["output_text.done", "content_part.done", "output_item.done"],
    ...["output_item.added", "function_call_arguments.delta", "function_call_arguments.delta"],
    ...["function_call_arguments.done", "output_item.done"],
    ...["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"],
    "completed",
  ]);
  assert.deepEqual(all.map(({ sequence_number }) => sequence_number), [...all.keys()]);
  const whole = await (await post("/v1/responses", { input: "Hi" })).json();
  const { response } = all.at(-1) as unknown as { response: typeof whole };
  assert.deepEqual(known(response.output), known(whole.output));
});

Deno.test("the openai client's own accumulation of a response's stream is the whole response", async () => {
  const model = new ScriptedModel(everything);
  const app = createApp({ name: "nano", model: () => model });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  const client = new OpenAI({ apiKey: "none", baseURL: `http://127.0.0.1:${server.addr.port}/v1`, maxRetries: 0 });
  try {
    for (const reasoning of [null, { summary: "auto" as const }]) {
      const body = { model: "nano", input: "Hi", reasoning };
      const stream = client.responses.stream(body);
      let thought = "";
      for await (const event of stream) {
        const thinking = event.type === "response.reasoning_text.delta" ||
          event.type === "response.reasoning_summary_text.delta";
        if (thinking) thought += event.delta;
      }
      const streamed = await stream.finalResponse();
      const whole = await client.responses.create(body);
      assert.equal(whole.output_text, "Hello");
      assert.equal(thought, "hm");
      assert.deepEqual(streamed.output.map(({ type }) => type), whole.output.map(({ type }) => type));
      const [item] = streamed.output;
      assert.ok(item?.type === "reasoning");
      assert.deepEqual([item.summary.length, item.content?.length ?? 0], reasoning ? [1, 0] : [0, 1]);
    }
  } finally {
    await server.shutdown();
  }
});

Deno.test("an answer that was cut off is incomplete", async () => {
  const { post } = serve([content("Hel"), { ...finish, reason: "length" } as typeof finish]);
  const reply = await (await post("/v1/responses", { input: "Hi", max_output_tokens: 1 })).json();
  assert.deepEqual([reply.status, reply.incomplete_details], ["incomplete", { reason: "max_output_tokens" }]);
  assert.equal(reply.output[0].status, "incomplete");
  const all = await typedEvents(await post("/v1/responses", { input: "Hi", stream: true }));
  assert.equal(all.at(-1)?.type, "response.incomplete");
});

Deno.test("a failure in the middle of a response's stream is an error event", async () => {
  const { post, entries } = serve([content("a"), () => Promise.reject(new Error("lost"))]);
  const last = (await typedEvents(await post("/v1/responses", { input: "Hi", stream: true }))).at(-1)!;
  assert.equal(last.type, "error");
  assert.doesNotMatch(String(last.message), /lost/);
  assert.deepEqual(entries.map(({ status }) => status), [500]);
});

Deno.test("items of earlier turns become the messages that they were", async () => {
  const { post, model } = serve();
  const response = await post("/v1/responses", {
    instructions: "Be brief",
    input: [
      { role: "user", content: [{ type: "input_text", text: "a" }] },
      {
        type: "reasoning",
        id: "rs_1",
        summary: [],
        content: [{ type: "reasoning_text", text: "r" }],
        status: "completed",
      },
      {
        type: "message",
        id: "msg_1",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: "b", annotations: [], logprobs: [] }],
      },
      { type: "function_call", id: "fc_1", call_id: "c1", name: "f", arguments: "{}", status: "completed" },
      { type: "function_call", call_id: "c2", name: "f", arguments: "{}" },
      { type: "function_call_output", call_id: "c1", output: "1" },
      { type: "function_call_output", call_id: "c2", output: [{ type: "input_text", text: "2" }] },
      { type: "reasoning", summary: [{ type: "summary_text", text: "s" }] },
      { type: "function_call", call_id: "c3", name: "f", arguments: "{}" },
      { role: "developer", content: "d" },
      { role: "assistant", content: "x" },
      { role: "assistant", content: "y" },
    ],
    tools: [{ type: "function", name: "f", parameters: { type: "object" }, strict: false }],
    reasoning: { effort: "low" },
    include: ["message.output_text.logprobs"],
    top_logprobs: 2,
    temperature: 1,
    max_output_tokens: 9,
    tool_choice: { type: "function", name: "f" },
    text: { format: { type: "json_schema", name: "s", schema: { type: "object" }, strict: true } },
    parallel_tool_calls: false,
  });
  assert.equal(response.status, 200);
  const calls = (...ids: string[]) =>
    ids.map((id) => ({ id, type: "function", function: { name: "f", arguments: "{}" } }));
  assert.deepEqual(model.requests, [{
    messages: [
      { role: "system", content: "Be brief" },
      { role: "user", content: "a" },
      { role: "assistant", content: "b", reasoning_content: "r", tool_calls: calls("c1", "c2") },
      { role: "tool", content: "1", tool_call_id: "c1" },
      { role: "tool", content: "2", tool_call_id: "c2" },
      { role: "assistant", content: "", reasoning_content: "s", tool_calls: calls("c3") },
      { role: "system", content: "d" },
      { role: "assistant", content: "x" },
      { role: "assistant", content: "y" },
    ],
    sampling: { temperature: 1 },
    maxTokens: 9,
    tools: [{ type: "function", function: { name: "f", parameters: { type: "object" }, strict: false } }],
    toolChoice: { name: "f" },
    responseFormat: { type: "json_schema", schema: { type: "object" }, strict: true },
    parallelCalls: false,
    thinking: true,
    thinkBudget: 1024,
    logprobs: 2,
  }]);
});

Deno.test("log-probabilities of a response's text come where they are asked for", async () => {
  const logprob: TokenLogprob = { token: "a", bytes: [97], logprob: -1, offset: 0, top: [] };
  const { post } = serve([{ type: "content", text: "a", logprobs: [logprob] }, finish]);
  const include = ["message.output_text.logprobs"];
  const { output: [item] } = await (await post("/v1/responses", { input: "Hi", include })).json();
  assert.deepEqual(item.content[0].logprobs, [{ token: "a", bytes: [97], logprob: -1, top_logprobs: [] }]);
});

Deno.test("what a response cannot do is refused by name", async () => {
  const { post, model } = serve();
  const cases: [param: string, message: RegExp, body: object][] = [
    ["input", /Missing required field/, {}],
    ["previous_response_id", /nothing is stored here/, { input: "Hi", previous_response_id: "resp_1" }],
    ["conversation", /nothing is stored here/, { input: "Hi", conversation: "conv_1" }],
    ["store", /nothing is stored here/, { input: "Hi", store: true }],
    ["background", /only false/, { input: "Hi", background: true }],
    ["truncation", /only "disabled"/, { input: "Hi", truncation: "auto" }],
    ["include[0]", /only message.output_text.logprobs/, { input: "Hi", include: ["reasoning.encrypted_content"] }],
    ["reasoning.summary", /only auto and detailed/, { input: "Hi", reasoning: { summary: "concise" } }],
    ["tools[0].type", /only function tools/, { input: "Hi", tools: [{ type: "web_search" }] }],
    ["input[0].type", /expected one of message/, { input: [{ type: "item_reference", id: "msg_1" }] }],
    ["input[0].content[0].type", /only text parts/, {
      input: [{ role: "user", content: [{ type: "input_image", image_url: "data:" }] }],
    }],
    ["top_logprobs", /it needs message.output_text.logprobs/, { input: "Hi", top_logprobs: 1 }],
    ["max_tool_calls", /not supported/, { input: "Hi", max_tool_calls: 1 }],
    ["prompt", /not supported/, { input: "Hi", prompt: { id: "pmpt_1" } }],
  ];
  for (const [param, message, body] of cases) {
    const error = await refused(await post("/v1/responses", body), 400);
    assert.equal(error.param, param, error.message);
    assert.match(error.message, message);
  }
  assert.equal(model.requests.length, 0);
});

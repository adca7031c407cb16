/** Chat over a scripted engine: what is asked of the engine, and the deltas that its tokens become. */
import assert from "node:assert/strict";
import { fold } from "../../src/chat/fold.ts";
import { golden, tokenizer } from "./ring_nano.ts";
import { chatWith, collect, ids, question, ROLE_END, weather } from "./scripted_engine.ts";

Deno.test("stream() parts thought and answer, and counts their tokens", async () => {
  const thought = ids("Add them.\n</think>");
  const tokens = [...thought, ...ids("\n\n2936"), ROLE_END];
  const { chat, engine } = chatWith(tokens);
  const { toolCalls, logprobs, ...reply } = await fold(chat.stream(question));
  assert.deepEqual({ toolCalls, logprobs }, { toolCalls: [], logprobs: [] });
  assert.deepEqual(reply, {
    reasoning: "Add them.",
    content: "2936",
    reason: "stop",
    usage: {
      promptTokens: engine.requests[0]!.prompt.length,
      cachedTokens: 0,
      completionTokens: tokens.length,
      reasoningTokens: thought.length,
    },
    timings: { prefillMillis: 3, decodeMillis: 5 },
  });
  assert.equal(engine.ended, "stop");
});

Deno.test("stream() asks the engine for the golden prompt with neutral sampling and the rest of the context", async () => {
  const { prompt_ids, messages } = golden[0]!;
  const { chat, engine } = chatWith([ROLE_END]);
  await fold(chat.stream({ messages }));
  const { prompt, sampling: { seed, ...sampling }, ...request } = engine.requests[0]!;
  assert.deepEqual([...prompt], prompt_ids);
  assert.deepEqual(chat.promptTokens({ messages }), prompt);
  assert.ok(Number.isSafeInteger(seed));
  assert.deepEqual(sampling, {
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    logitBias: [],
  });
  assert.deepEqual(request, {
    maxTokens: 2048 - prompt_ids.length,
    stopTokens: [ROLE_END],
    logprobs: null,
    thinking: null,
    boundaries: [],
  });
});

Deno.test("stream() tells where the last user's message begins, if the prompt is a long one", async () => {
  const { chat, engine } = chatWith([ROLE_END]);
  const system = { role: "system", content: "Be brief. ".repeat(120) } as const;
  const first = [system, { role: "user", content: "Who are you?" }] as const;
  for (const content of ["Add 1 and 2", "Sort 3 1 2"]) {
    await fold(chat.stream({ messages: [system, { role: "user", content }] }));
  }
  await fold(
    chat.stream({ messages: [...first, { role: "assistant", content: "Ringlet" }, { role: "user", content: "Why?" }] }),
  );
  const [one, other, third] = engine.requests.map(({ prompt, boundaries }) => ({ prompt, at: boundaries![0]! }));
  const shared = one!.prompt.findIndex((token, i) => token !== other!.prompt[i]);
  assert.ok(0 < one!.at && one!.at <= shared, `${one!.at} of ${shared}`);
  assert.equal(other!.at, one!.at);
  assert.ok(third!.at > one!.at && third!.at < third!.prompt.length);
});

Deno.test("stream() closes a thought after its budget, where the prompt has opened one", async () => {
  const { chat, engine } = chatWith([ROLE_END]);
  await fold(chat.stream({ ...question, thinkBudget: 0 }));
  await fold(chat.stream({ ...question, thinkBudget: 7, thinking: false }));
  assert.deepEqual(engine.requests.map((request) => request.thinking), [
    { budget: 0, end: Uint32Array.from(ids("</think>")), close: Uint32Array.from(ids("\n</think>\n\n")) },
    null,
  ]);
  assert.deepEqual(ids("</think>").length, 1);
});

Deno.test("stream() gives calls an id and a finish reason of their own", async () => {
  const call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>';
  const { chat } = chatWith([...ids(`Hm.\n</think>\n\n${call}\n${call}`), ROLE_END]);
  const reply = await fold(chat.stream(weather));
  const [first, second] = reply.toolCalls;
  assert.match(first!.id, /^call_[0-9a-f]{24}$/);
  assert.notEqual(first!.id, second!.id);
  for (const { type, function: named } of reply.toolCalls) {
    assert.deepEqual({ type, named }, {
      type: "function",
      named: { name: "get_weather", arguments: '{"city": "Paris"}' },
    });
  }
  assert.equal(reply.reason, "tool_calls");
  assert.equal(reply.content, "");
});

Deno.test("stream() says length where tokens run out, also within a call", async () => {
  const { chat } = chatWith(ids('</think>\n\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Par'));
  const reply = await fold(chat.stream(weather));
  assert.equal(reply.reason, "length");
  assert.equal(reply.toolCalls[0]!.function.arguments, '{"city": "Par');
  const short = await fold(chat.stream({ ...weather, maxTokens: 1 }));
  assert.deepEqual([short.reason, short.usage.completionTokens], ["length", 1]);
});

Deno.test("stream() never cuts a character that is split over tokens", async () => {
  const text = "Größe 🙂 漢字";
  const { chat } = chatWith([...ids(`</think>\n\n${text}`), ROLE_END]);
  assert.ok(ids("🙂").length > 1, "the emoji is more than one token");
  const deltas = await collect(chat.stream(question));
  const shown = deltas.flatMap((delta) => delta.type === "content" ? [delta.text] : []);
  assert.equal(shown.join(""), text);
  assert.ok(shown.every((piece) => !piece.includes("\ufffd") && piece !== ""), JSON.stringify(shown));
  const cut = chatWith(ids("</think>\n\n🙂").slice(0, -1)).chat;
  assert.equal((await fold(cut.stream(question))).content, "\ufffd");
});

Deno.test("stream() ends before a stop text across tokens, and ends the generation", async () => {
  const { chat, engine } = chatWith([...ids("a STOP b\n</think>\n\none two STOP three"), ROLE_END]);
  assert.ok(ids(" STOP").length > 1, "the stop text is more than one token");
  const reply = await fold(chat.stream({ ...question, stop: [" STOP"] }));
  assert.deepEqual([reply.reasoning, reply.content, reply.reason], ["a STOP b", "one two", "stop"]);
  assert.equal(engine.ended, "abort");
  assert.ok(reply.usage.completionTokens < engine.script.length);
});

Deno.test("stream() shows what could have been a stop text once the answer ends", async () => {
  const { chat } = chatWith([...ids("</think>\n\none ST"), ROLE_END]);
  assert.equal((await fold(chat.stream({ ...question, stop: ["STOP"] }))).content, "one ST");
});

Deno.test("stream() shows a held-back beginning of a stop text before the call that follows", async () => {
  const { chat } = chatWith([...ids('</think>\n\nST<tool_call>{"name": "f"}</tool_call>'), ROLE_END]);
  const deltas = await collect(chat.stream({ ...weather, stop: ["STOP"] }));
  assert.deepEqual(deltas.map(({ type }) => type), ["content", "tool_call", "finish"]);
});

Deno.test("stream() says stop where the tokens run out just at the stop text", async () => {
  const { chat } = chatWith(ids("</think>\n\none\n"));
  const reply = await fold(chat.stream({ ...weather, stop: ["\n"] }));
  assert.deepEqual([reply.content, reply.reason], ["one", "stop"]);
});

Deno.test("stream() hides special tokens that are no end, but not the tags that it reads", async () => {
  const { chat } = chatWith([...ids("Hm.</think>\n\na<role>b"), ROLE_END]);
  const { reasoning, content } = await fold(chat.stream(question));
  assert.deepEqual([reasoning, content], ["Hm.", "ab"]);
});

Deno.test("complete() continues a text as it is, tags and all", async () => {
  const { chat, engine } = chatWith([...ids("<think>\na</think>\n\n<tool_call>"), ROLE_END]);
  const reply = await fold(chat.complete({ prompt: "Once <think>", stop: ["never"] }));
  assert.deepEqual([reply.reasoning, reply.content], ["", "<think>\na</think>\n\n<tool_call>"]);
  assert.equal(reply.usage.reasoningTokens, 0);
  assert.deepEqual(engine.requests[0]!.prompt, tokenizer.encode("Once <think>"));
});

Deno.test("a checkpoint without a template still completes texts", async () => {
  const { chat } = chatWith([...ids(" upon"), ROLE_END], { template: null });
  assert.equal((await fold(chat.complete({ prompt: "Once" }))).content, " upon");
});

Deno.test("without parallel calls the answer ends behind the first", async () => {
  const call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Lisbon"}}\n</tool_call>';
  const tokens = [...ids(`</think>\n\n${call}\n${call}`), ROLE_END];
  const both = chatWith(tokens);
  assert.equal((await fold(both.chat.stream(weather))).toolCalls.length, 2);
  const one = chatWith(tokens);
  const reply = await fold(one.chat.stream({ ...weather, parallelCalls: false }));
  assert.deepEqual([reply.toolCalls.length, reply.reason, one.engine.ended], [1, "tool_calls", "abort"]);
  const text = await fold(chatWith(ids("</think>\n\nhi")).chat.stream({ ...weather, parallelCalls: false }));
  assert.deepEqual([text.content, text.reason], ["hi", "length"]);
});

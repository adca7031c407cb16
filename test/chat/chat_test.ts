/** Chat over a scripted engine: deltas, stop texts, budgets, log-probabilities, aborts and errors. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Chat, type ChatParts, type TokenGenerator } from "../../src/chat/chat.ts";
import { fold } from "../../src/chat/fold.ts";
import type { ChatRequest, CompletionRequest, Delta } from "../../src/chat/messages.ts";
import { EngineGrammarError, RequestError } from "../../src/chat/request_error.ts";
import type {
  EngineFinish,
  GeneratedToken,
  GenerateRequest,
  ScoreRequest,
  ScoreRows,
} from "../../src/pipeline/requests.ts";
import { golden, template, tokenizer } from "./ring_nano.ts";

const ROLE_END = tokenizer.idOf("<|role_end|>")!;

/** Answers every request with the same tokens. */
class ScriptedEngine implements TokenGenerator {
  readonly info;
  readonly requests: GenerateRequest[] = [];
  ended: EngineFinish | "failed" | undefined;
  disposed = false;
  readonly failure = null;

  constructor(readonly script: readonly GeneratedToken[], readonly thrown?: Error, context = 2048) {
    this.info = { stages: [], context, slots: 1, vocabulary: tokenizer.vocabSize };
  }

  status() {
    const prefixCache = { device: { bytes: 0, hits: 0 }, host: { bytes: 0, hits: 0 } };
    return Promise.resolve({ running: 0, waiting: 0, steps: 0, rows: 0, preemptions: 0, prefixCache });
  }

  generate(request: GenerateRequest, signal?: AbortSignal) {
    this.requests.push(request);
    const result = Promise.withResolvers<{ finish: EngineFinish; stats: typeof stats }>();
    const stats = {
      promptTokens: request.prompt.length,
      cachedTokens: 0,
      generatedTokens: 0,
      prefillMillis: 3,
      decodeMillis: 5,
    };
    const end = (finish: EngineFinish) => {
      this.ended ??= finish;
      result.resolve({ finish, stats });
    };
    return Object.assign(this.#tokens(request, signal, end), { result: result.promise });
  }

  async *#tokens(request: GenerateRequest, signal: AbortSignal | undefined, end: (finish: EngineFinish) => void) {
    try {
      for (const token of this.script.slice(0, request.maxTokens)) {
        await Promise.resolve();
        if (signal?.aborted) return;
        yield token;
        if (request.stopTokens.includes(token.id)) return end("stop");
      }
      if (this.thrown) this.ended = "failed";
      if (this.thrown) throw this.thrown;
      end("length");
    } finally {
      end("abort");
    }
  }

  /** One stretch with all positions, each as likely as its place says. */
  async *score({ tokens, logits }: ScoreRequest): AsyncGenerator<ScoreRows> {
    await Promise.resolve();
    const logprobs = Float64Array.from(tokens, (_, i) => i === 0 ? NaN : -i);
    yield { first: 0, logprobs, logits: logits ? new Float32Array(tokens.length) : null };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }
}

function ids(text: string): number[] {
  return [...tokenizer.encode(text, { special: true })];
}

function withLogprobs(tokens: readonly number[]): GeneratedToken[] {
  return tokens.map((id, i) => ({ id, logprob: -i, top: [[id, -i], [ROLE_END, -i - 1]] }));
}

function chatWith(tokens: readonly number[], parts: Partial<ChatParts> & { failure?: Error; context?: number } = {}) {
  const engine = new ScriptedEngine(tokens.map((id) => ({ id })), parts.failure, parts.context);
  const chat = new Chat({ model: "nano", tokenizer, template, engine, stopTokens: [ROLE_END], ...parts });
  return { chat, engine };
}

const question: ChatRequest = { messages: [{ role: "user", content: "What is 347 + 2589?" }] };
const weather: ChatRequest = { ...question, tools: [{ type: "function", function: { name: "get_weather" } }] };

async function collect(deltas: AsyncIterable<Delta>): Promise<Delta[]> {
  return await Array.fromAsync(deltas);
}

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

Deno.test("ending the iteration or the signal ends the generation", async () => {
  const left = chatWith([...ids("one two three four"), ROLE_END]);
  for await (const _ of left.chat.stream(question)) break;
  assert.equal(left.engine.ended, "abort");

  const { chat, engine } = chatWith([...ids("one two three four"), ROLE_END]);
  const controller = new AbortController();
  const deltas = chat.stream(question, controller.signal);
  await deltas.next();
  controller.abort();
  await assert.rejects(fold(deltas), { name: "AbortError" });
  assert.equal(engine.ended, "abort");
});

Deno.test("stream() passes the engine's failure on", async () => {
  const { chat } = chatWith(ids("one two"), { failure: new Error("The GPU was lost") });
  const deltas = chat.stream(question);
  assert.equal((await deltas.next()).value.text, "one");
  await assert.rejects(fold(deltas), { message: "The GPU was lost" });
});

Deno.test("disposing of a Chat disposes of its engine", async () => {
  const { chat, engine } = chatWith([]);
  await chat[Symbol.asyncDispose]();
  assert.equal(engine.disposed, true);
});

Deno.test("stream() and complete() refuse at once what cannot be done", () => {
  const { chat, engine } = chatWith([]);
  const length = chat.promptTokens(question).length;
  const small = chatWith([], { context: length }).chat;
  const untold = chatWith([], { template: null }).chat;
  const refused = (start: () => unknown, field: string, message: string) =>
    assert.throws(start, (error) => {
      assert.ok(error instanceof RequestError);
      assert.deepEqual([error.field, error.message], [field, message]);
      return true;
    });
  refused(
    () => small.stream(question),
    "messages",
    `Cannot answer a prompt of ${length} tokens: the context holds ${length}, the answer included`,
  );
  refused(
    () => untold.stream(question),
    "messages",
    "Cannot chat with nano, which has no chat template: use a raw completion",
  );
  refused(() => chat.complete({ prompt: "" }), "prompt", "Cannot continue an empty prompt: write at least a word");
  const options: [Partial<ChatRequest & CompletionRequest>, string, string][] = [
    [{ maxTokens: 0 }, "maxTokens", "Cannot use 0 as maxTokens: it must be a whole number from 1 up"],
    [{ thinkBudget: -1 }, "thinkBudget", "Cannot use -1 as thinkBudget: it must be a whole number from 0 up"],
    [{ logprobs: 1.5 }, "logprobs", "Cannot use 1.5 as logprobs: it must be a whole number from 0 up"],
    [{ stop: ["a", ""] }, "stop", "Cannot stop at an empty text: leave it out"],
    [
      { sampling: { temperature: NaN } },
      "sampling",
      "Cannot sample with temperature NaN: it must be a number from 0 up",
    ],
  ];
  for (const [option, field, message] of options) {
    refused(() => chat.stream({ ...question, ...option }), field, message);
  }
  assert.equal(engine.requests.length, 0);
});

Deno.test("a checkpoint without a template still completes texts", async () => {
  const { chat } = chatWith([...ids(" upon"), ROLE_END], { template: null });
  assert.equal((await fold(chat.complete({ prompt: "Once" }))).content, " upon");
});

Deno.test("fold() refuses a stream that has no end", async () => {
  const cut = async function* (): AsyncGenerator<Delta> {
    yield { type: "content", text: "a" };
  };
  await assert.rejects(fold(cut()), { name: "TypeError", message: "Cannot fold an answer that has no end" });
});

// ---------------------------------------------------------------- log-probabilities

const FRAGMENTS = ["</think>", "<tool_call>", "</tool_call>", "\n", '\n{"name": "f", "arguments": {', "}}", "<role>"];
const anyTokens = fc.array(
  fc.oneof(
    fc.constantFrom(...FRAGMENTS),
    fc.string({ unit: "grapheme", maxLength: 6 }),
    fc.constantFrom("🙂", "ST", "OP"),
  ),
  { maxLength: 12 },
).map((texts) => texts.flatMap(ids));

async function deltasOf(tokens: readonly number[], request: Partial<ChatRequest>, raw = false): Promise<Delta[]> {
  const engine = new ScriptedEngine([...withLogprobs(tokens), { id: ROLE_END, logprob: -1 }]);
  const chat = new Chat({ model: "nano", tokenizer, template, engine, stopTokens: [ROLE_END] });
  return await collect(raw ? chat.complete({ prompt: "x", ...request }) : chat.stream({ ...weather, ...request }));
}

Deno.test("stream() reports the log-probability of every token once, in order", async () => {
  await fc.assert(
    fc.asyncProperty(anyTokens, fc.boolean(), async (tokens, thinking) => {
      const deltas = await deltasOf(tokens, { thinking, logprobs: 1 });
      const reported = deltas.flatMap((delta) => delta.type === "finish" ? [] : delta.logprobs ?? []);
      assert.deepEqual(reported.map(({ logprob }) => -logprob), tokens.map((_, i) => i));
      assert.deepEqual(reported.map(({ bytes }) => bytes), tokens.map((id) => [...tokenizer.tokenBytes(id)]));
    }),
    { numRuns: 500 },
  );
});

Deno.test("complete() reports a token with the delta that has its first character, up to the stop text", async () => {
  const words = fc.array(fc.constantFrom("S", "ST", "O", "STO", "P", "🙂", "é", " a", "\n"), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(words, async (texts) => {
      const tokens = texts.flatMap(ids);
      // Where the character begins that holds the token's first byte, which an earlier token may have begun.
      const starts = tokens.map((_, i) => tokenizer.decode(tokens.slice(0, i)).replace(/\ufffd+$/, "").length);
      const deltas = await deltasOf(tokens, { logprobs: 0, stop: ["STOP", "OST"] }, true);
      let at = 0;
      for (const delta of deltas) {
        if (delta.type !== "content") continue;
        const end = at + delta.text.length;
        const expected = starts.flatMap((start, i) => start >= at && start < end ? [i] : []);
        assert.deepEqual((delta.logprobs ?? []).map(({ logprob }) => -logprob), expected);
        at = end;
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("stream() spells tokens and alternatives by text and bytes", async () => {
  const tokens = ids("</think>\n\nGröße");
  const deltas = await deltasOf(tokens, { logprobs: 2 });
  const [thought] = deltas.flatMap((delta) => delta.type === "content" ? delta.logprobs ?? [] : []);
  const spelling = { token: "</think>", bytes: [...new TextEncoder().encode("</think>")] };
  assert.deepEqual(thought, {
    ...spelling,
    logprob: -0,
    offset: 0,
    top: [
      { ...spelling, logprob: -0 },
      { token: "<|role_end|>", bytes: [...new TextEncoder().encode("<|role_end|>")], logprob: -1 },
    ],
  });
});

Deno.test("score() hands tokens to the engine and its rows back", async () => {
  const { chat } = chatWith([]);
  const rows = await Array.fromAsync(chat.score(Uint32Array.of(5, 6, 7), { logits: true }));
  assert.deepEqual(rows, [{ first: 0, logprobs: Float64Array.of(NaN, -1, -2), logits: new Float32Array(3) }]);
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

Deno.test("stream() blames the field whose form the engine could not hold the answer to", async () => {
  const failure = new EngineGrammarError("Cannot follow the answer's grammar");
  const { chat, engine } = chatWith(ids("Add"), { failure });
  const blames = (field: string) => (error: unknown) =>
    error instanceof RequestError && error.field === field && error.message === failure.message;
  await assert.rejects(
    fold(chat.stream({ ...question, responseFormat: { type: "json_object" } })),
    blames("responseFormat"),
  );
  await assert.rejects(fold(chat.stream({ ...weather, toolChoice: "required" })), blames("tools"));
  assert.equal(engine.ended, "failed");
  await assert.rejects(fold(chat.stream(question)), failure, "nothing was asked for");
});

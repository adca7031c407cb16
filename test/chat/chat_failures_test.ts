/** Answers that are refused, fail or are ended early, and whom an error blames. */
import assert from "node:assert/strict";
import { fold } from "../../src/chat/fold.ts";
import type { ChatRequest, CompletionRequest, Delta } from "../../src/chat/messages.ts";
import { EngineGrammarError, RequestError } from "../../src/chat/request_error.ts";
import { chatWith, ids, question, ROLE_END, weather } from "./scripted_engine.ts";

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
Deno.test("fold() refuses a stream that has no end", async () => {
  const cut = async function* (): AsyncGenerator<Delta> {
    yield { type: "content", text: "a" };
  };
  await assert.rejects(fold(cut()), { name: "TypeError", message: "Cannot fold an answer that has no end" });
});

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Delta } from "../../src/chat/messages.ts";
import { foldChoices, interleave } from "../../src/server/choices.ts";
import { content, finish, forever } from "./scripted_model.ts";
import { events, question, serve } from "./serve.ts";

/** Generations that keep count of how many of them run. */
class Counted {
  running = 0;
  most = 0;

  start(deltas: readonly (Delta | Error)[], millis = 0) {
    return async function* (this: Counted, signal: AbortSignal): AsyncGenerator<Delta> {
      this.most = Math.max(this.most, ++this.running);
      try {
        for (const delta of deltas) {
          await sleep(millis, undefined, { signal });
          if (delta instanceof Error) throw delta;
          yield delta;
        }
      } finally {
        this.running--;
      }
    }.bind(this);
  }
}

const never = new AbortController().signal;

Deno.test("interleave() runs so many at a time, and each choice's deltas keep their order", async () => {
  const counted = new Counted();
  const texts = ["abc", "", "d", "efghi", "jk"];
  const starts = texts.map((text, i) => counted.start([...[...text].map(content), finish], i % 3));
  const replies = await foldChoices(interleave(starts, 2, never));
  assert.deepEqual(replies.map(({ content }) => content), texts);
  assert.deepEqual([counted.running, counted.most], [0, 2]);
});

Deno.test("interleave() takes turns between those that always have something", async () => {
  const counted = new Counted();
  const starts = ["a", "b"].map((text) => counted.start([content(text), content(text), content(text)]));
  const order = await Array.fromAsync(interleave(starts, 2, never), ({ choice }) => choice);
  assert.deepEqual(order, [0, 1, 0, 1, 0, 1]);
});

Deno.test("when one choice fails or the reader leaves, all end", async () => {
  const counted = new Counted();
  const slow = counted.start([content("a"), content("b"), finish], 10_000);
  await assert.rejects(
    foldChoices(interleave([slow, counted.start([new Error("broken")])], 2, never)),
    /broken/,
  );
  assert.equal(counted.running, 0);
  for await (const _ of interleave([slow, counted.start([content("c")])], 2, never)) break;
  assert.equal(counted.running, 0);
});

Deno.test("what one choice refuses at once is thrown before any begins", () => {
  const counted = new Counted();
  const refuse = () => {
    throw new RangeError("too long");
  };
  assert.throws(() => interleave([counted.start([finish]), refuse], 2, never), /too long/);
  assert.equal(counted.most, 0);
});

Deno.test("n choices of a chat come with their indices, whole and streamed, and their usage adds up", async () => {
  const { ask, model } = serve([content("a"), content("b"), finish]);
  const body = { ...question, n: 3, seed: 1 };
  const whole = await (await ask(body)).json();
  assert.deepEqual(
    whole.choices.map((
      { index, message }: { index: number; message: { content: string } },
    ) => [index, message.content]),
    [[0, "ab"], [1, "ab"], [2, "ab"]],
  );
  assert.deepEqual([whole.usage.prompt_tokens, whole.usage.completion_tokens], [7, 9]);
  assert.deepEqual(model.requests.map(({ sampling }) => sampling?.seed), [1, 2, 3]);

  const chunks = await events(await ask({ ...body, stream: true, stream_options: { include_usage: true } }));
  assert.equal(chunks.pop(), "[DONE]");
  assert.deepEqual(chunks.pop().usage, whole.usage);
  const first = chunks.findIndex(({ choices: [choice] }) => choice.index === 0 && choice.finish_reason !== null);
  assert.ok(
    chunks.slice(0, first).some(({ choices: [choice] }) => choice.index === 1),
    "they come one after the other",
  );
  for (const index of [0, 1, 2]) {
    const own = chunks.map(({ choices: [choice] }) => choice).filter((choice) => choice.index === index);
    assert.deepEqual(own.map(({ delta }) => delta.role), ["assistant", undefined, undefined, undefined]);
    assert.equal(own.map(({ delta }) => delta.content ?? "").join(""), "ab");
    assert.equal(own.at(-1).finish_reason, "stop");
  }
});

Deno.test("tokens that a cache gave are told, for a prompt of several choices once", async () => {
  const told = { ...finish, usage: { promptTokens: 7, cachedTokens: 5, completionTokens: 3, reasoningTokens: 0 } };
  const { ask, post } = serve([told as typeof finish]);
  const { usage } = await (await ask({ ...question, n: 2 })).json();
  assert.deepEqual([usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens], [7, 5]);
  const response = await (await post("/v1/responses", { input: "Hi" })).json();
  assert.equal(response.usage.input_tokens_details.cached_tokens, 5);
});

Deno.test("a client that leaves ends all choices, and the log has the tokens of all", async () => {
  const waiting = serve([content("a"), forever]);
  const reader = (await waiting.ask({ ...question, n: 2, stream: true })).body!.getReader();
  await reader.read();
  while (waiting.model.running < 2) await sleep(1);
  await reader.cancel();
  assert.equal(waiting.model.running, 0);
  const { ask, entries } = serve();
  await ask({ ...question, n: 2 });
  assert.equal(entries[0]?.completionTokens, 6);
});

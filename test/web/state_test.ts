/** The page's state without a page: conversations, what is kept of them, answers that grow, requests. */
import assert from "node:assert/strict";
import type { Piece } from "../../web/api/client.ts";
import { cut, RequestFailure } from "../../web/api/failure.ts";
import { safeHref } from "../../web/markdown/links.ts";
import { grow } from "../../web/state/answering.ts";
import { type Answer, asking, type Conversation, newConversation, titleOf } from "../../web/state/conversation.ts";
import { defaults, toQuestion } from "../../web/state/settings.ts";
import { Saved, type Shelf } from "../../web/state/storage.ts";
import { plain, sentencesEnd } from "../../web/view/speech.ts";

const conversation = (...said: string[]): Conversation => ({
  id: "a",
  updated: 1,
  messages: said.map((content, at) =>
    at % 2 === 0 ? { role: "user", content } : { role: "assistant", content, reasoning: "", status: "done" }
  ),
});

/** What `localStorage` is, with items that a test may damage. */
function shelf(items = new Map<string, string>()): Shelf & { items: Map<string, string> } {
  return {
    items,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
    key: (at) => [...items.keys()][at] ?? null,
    get length() {
      return items.size;
    },
  };
}

async function grown(pieces: AsyncIterable<Piece>, signal = new AbortController().signal): Promise<Answer> {
  let time = 0;
  let last: Answer | undefined;
  await grow(pieces, { signal, now: () => time += 100, tell: (answer) => last = answer });
  return last!;
}

Deno.test("asking() keeps what came before the question", () => {
  const { messages } = asking(conversation("a", "b", "c", "d"), 2, "new");
  assert.deepEqual(messages.map(({ content }) => content), ["a", "b", "new", ""]);
  assert.deepEqual(asking(conversation("a", "b"), 1).messages.map(({ content }) => content), ["a", ""]);
});

Deno.test("titleOf() is the beginning of the first message, on one line", () => {
  assert.equal(titleOf(conversation("  one\n two ")), "one two");
  assert.equal(titleOf(conversation("x".repeat(80))), `${"x".repeat(60)}…`);
  assert.equal(titleOf(conversation()), "New conversation");
});

Deno.test("newConversation() has an id of its own", () => {
  assert.equal(new Set(Array.from({ length: 100 }, () => newConversation().id)).size, 100);
});

Deno.test("what is saved is found again, newest first; what is damaged is left out", () => {
  const shelved = shelf();
  const saved = new Saved(shelved);
  const later = { ...conversation("later"), id: "b", updated: 2 };
  saved.save(conversation("a", "b"));
  saved.save(later);
  shelved.items.set("ringlet.conversation.c", "{");
  shelved.items.set("ringlet.conversation.d", '{"id":"d","updated":1,"messages":[null]}');
  shelved.items.set("ringlet.conversation.e", '{"id":"other","updated":1,"messages":[]}');
  shelved.items.set("elsewhere", "x");
  assert.deepEqual(saved.conversations(), [later, conversation("a", "b")]);
  saved.remove("b");
  assert.deepEqual(saved.conversations(), [conversation("a", "b")]);
});

Deno.test("settings that were saved before there were others get their defaults", () => {
  const saved = new Saved(shelf(new Map([["ringlet.settings", '{"temperature":1}']])));
  assert.deepEqual(saved.settings(), { ...defaults, temperature: 1 });
  assert.deepEqual(new Saved(shelf(new Map([["ringlet.settings", "null"]]))).settings(), defaults);
});

Deno.test("toQuestion() leaves out what is the server's default, and answers that never began", () => {
  const failed: Answer = { role: "assistant", content: "", reasoning: "", status: "failed" };
  const { messages, ...rest } = conversation("a");
  const question = toQuestion({ ...rest, messages: [...messages, failed, ...messages] }, defaults, "");
  assert.deepEqual(question, {
    messages: [{ role: "user", content: "a" }, { role: "user", content: "a" }],
    chat_template_kwargs: { enable_thinking: true },
  });
  assert.equal(
    toQuestion(conversation("a"), { ...defaults, thinkingBudget: 5, thinking: false }, "").thinking_budget,
    undefined,
  );
});

Deno.test("grow() adds pieces up, and counts", async () => {
  const answer = await grown(async function* (): AsyncGenerator<Piece> {
    yield { type: "reasoning", text: "h" };
    yield { type: "reasoning", text: "m" };
    yield { type: "content", text: "yes" };
    yield { type: "finish", reason: "stop" };
    yield {
      type: "usage",
      usage: { prompt_tokens: 9, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 8 } },
    };
  }());
  const { stats, thoughtMillis, ...rest } = answer;
  assert.deepEqual(rest, { role: "assistant", reasoning: "hm", content: "yes", reason: "stop", status: "done" });
  assert.deepEqual([stats?.tokens, stats?.promptTokens, stats?.cachedTokens], [4, 9, 8]);
  assert.ok(stats!.waitMillis > 0 && stats!.millis > 0 && thoughtMillis! <= stats!.millis);
});

Deno.test("grow() keeps what has come when it ends early", async () => {
  const controller = new AbortController();
  const pieces = async function* (end: () => void): AsyncGenerator<Piece> {
    yield { type: "content", text: "half" };
    end();
  };
  const stopped = await grown(
    pieces(() => (controller.abort(), controller.signal.throwIfAborted())),
    controller.signal,
  );
  assert.deepEqual([stopped.status, stopped.content], ["stopped", "half"]);
  const failed = await grown(pieces(() => {
    throw new RequestFailure(cut);
  }));
  assert.deepEqual([failed.status, failed.content, failed.failure], ["failed", "half", cut]);
});

Deno.test("safeHref() follows links of the web and of mail only", () => {
  assert.equal(safeHref("https://e.org/a b"), "https://e.org/a%20b");
  assert.equal(safeHref("mailto:a@e.org"), "mailto:a@e.org");
  for (
    const bad of [
      "javascript:alert(1)",
      " JavaScript:alert(1)",
      "data:text/html,x",
      "/here",
      "//e.org",
      "vbscript:x",
      "java\nscript:x",
    ]
  ) {
    assert.equal(safeHref(bad), null, bad);
  }
});

Deno.test("speech is whole sentences without marks", () => {
  assert.equal(sentencesEnd("One. Two"), 5);
  assert.equal(sentencesEnd("1.5 is"), 0);
  assert.equal(plain("## A **b** [c](https://e.org) `d`\n- e"), "A b c d e");
});

import assert from "node:assert/strict";
import type { Delta } from "../../src/chat/messages.ts";
import { obey } from "../../src/cli/chat.ts";
import { Conversation } from "../../src/cli/conversation.ts";
import { content, finish } from "../server/scripted_model.ts";
import { ringlet } from "./fake_host.ts";

const echo = (
  question: string,
): Delta[] => [{ type: "reasoning", text: "hm" }, content(question.toUpperCase()), finish];

Deno.test("chat answers each line of a pipe, remembering those before", async () => {
  const { code, out, err, model } = await ringlet(["chat", "--system", "S"], { script: echo, stdin: "one\n\ntwo\n" });
  assert.deepEqual([code, out], [0, "ONE\nTWO\n"]);
  assert.match(err, /7 \+ 3 tokens \(1 thought\)/);
  assert.deepEqual(model.requests.at(-1), {
    messages: [
      { role: "system", content: "S" },
      { role: "user", content: "one" },
      { role: "assistant", content: "ONE", reasoning_content: "hm" },
      { role: "user", content: "two" },
    ],
    sampling: {},
  });
});

Deno.test("chat commands change the conversation", async () => {
  const stdin = "one\n/clear\n/think\n/system Be brief\ntwo\n/exit\nthree";
  const { out, err, model } = await ringlet(["chat"], { script: echo, stdin });
  assert.equal(out, "ONE\nTWO\n");
  assert.match(err, /A new conversation\nAnswering at once\nNoted\n/);
  assert.deepEqual(model.requests.at(-1), {
    messages: [{ role: "system", content: "Be brief" }, { role: "user", content: "two" }],
    sampling: {},
    thinking: false,
  });
});

Deno.test("chat from a pipe fails when an answer does", async () => {
  const script = () => [content("a"), () => Promise.reject(new Error("lost"))];
  const { code, err } = await ringlet(["chat"], { script, stdin: "one" });
  assert.deepEqual([code, err], [1, "ringlet: lost\n"]);
});

Deno.test("Conversation keeps what was said of an answer that is cut off, and forgets a question without answer", async () => {
  const conversation = new Conversation({ system: undefined, thinking: true });
  for (const deltas of [[content("a"), content("b")], [{ type: "reasoning", text: "r" } as Delta, content("c")]]) {
    for await (
      const _ of conversation.ask("q", async function* () {
        yield* deltas;
      })
    ) break;
  }
  assert.deepEqual(conversation.messages, [{ role: "user", content: "q" }, { role: "assistant", content: "a" }]);
});

Deno.test("/save writes the conversation, and says why if it cannot", async () => {
  const conversation = new Conversation({ system: "S", thinking: true });
  const path = await Deno.makeTempFile();
  assert.equal(await obey(`/save ${path}`, conversation), `Wrote 1 messages to ${path}\n`);
  assert.deepEqual(JSON.parse(await Deno.readTextFile(path)), { messages: [{ role: "system", content: "S" }] });
  await Deno.remove(path);
  assert.match(await obey("/save /nowhere/x", conversation), /Cannot write/);
  assert.match(await obey("/hepl", conversation), /Unknown command \/hepl/);
});

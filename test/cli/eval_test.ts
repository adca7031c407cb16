import assert from "node:assert/strict";
import type { Delta, Reply } from "../../src/chat/messages.ts";
import { isRight, readTasks } from "../../src/cli/task_file.ts";
import { content, finish } from "../server/scripted_model.ts";
import { ringlet } from "./fake_host.ts";

const empty = { content: "", reasoning: "", toolCalls: [], logprobs: [] } as unknown as Reply;
const task = { id: "", task: "", messages: [] };

function call(name: string, text: string): Reply["toolCalls"][number] {
  return { id: "c", type: "function", function: { name, arguments: text } };
}

Deno.test("isRight() judges each kind of check", () => {
  const said = (check: string, answer: unknown, content: string) =>
    isRight({ ...task, check, answer }, { ...empty, content });
  assert.ok(said("exact", "ab", " ab\n"));
  assert.ok(!said("exact", "ab", "Ab"));
  assert.ok(said("number", "-3", "so 5 - 8 = -3."));
  assert.ok(said("number", "3", "3.0"));
  assert.ok(!said("number", "3", "3 or 4"));
  assert.ok(!said("number", "0", "none"));
  assert.ok(said("contains", "Paris", "it is PARIS!"));
  assert.ok(!said("contains", "Paris", "Rome"));
  assert.ok(said("json", { a: 1, b: [2] }, ' {"b": [2], "a": 1.0}'));
  assert.ok(!said("json", { a: 1 }, '{"a": "1"}'));
  assert.ok(!said("json", { a: 1 }, "{"));
});

Deno.test("isRight() wants exactly one tool call, equal in name and arguments", () => {
  const answer = { name: "f", arguments: { a: 1 } };
  const called = (...toolCalls: Reply["toolCalls"]) =>
    isRight({ ...task, check: "tool_call", answer }, { ...empty, toolCalls });
  assert.ok(called(call("f", '{"a": 1}')));
  assert.ok(!called());
  assert.ok(!called(call("g", '{"a": 1}')));
  assert.ok(!called(call("f", '{"a": 2}')));
  assert.ok(!called(call("f", '{"a": 1}'), call("f", '{"a": 1}')));
  assert.ok(!called(call("f", "{")));
});

Deno.test("readTasks() reads the embedded model's tasks, tool arguments as JSON text", async () => {
  const tasks = await readTasks("models/ring-nano-eval.jsonl");
  assert.equal(tasks.length, 500);
  const texts = tasks.flatMap(({ messages }) => messages).flatMap((message) => message.tool_calls ?? []);
  assert.ok(texts.length > 0);
  assert.ok(texts.every(({ function: { arguments: text } }) => typeof JSON.parse(text) === "object"));
});

/** Runs eval over tasks that ask for a number and get it back, but for those above 2. */
async function evaluate(args: string[]) {
  const path = await Deno.makeTempFile();
  const lines = [1, 2, 3, 4].map((n) => ({
    id: `t${n}`,
    task: n % 2 === 1 ? "odd" : "even",
    messages: [{ role: "user", content: String(n) }],
    enable_thinking: n === 1,
    answer: String(n),
    check: "number",
  }));
  await Deno.writeTextFile(path, lines.map((line) => JSON.stringify(line)).join("\n") + "\n");
  const script = (question: string): Delta[] => [content(Number(question) > 2 ? "no" : question), finish];
  try {
    return await ringlet(["eval", path, ...args], { script });
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("eval prints accuracy per task and in total", async () => {
  const { code, out, model } = await evaluate([]);
  assert.equal(code, 0);
  assert.deepEqual(out.split("\n").map((line) => line.replace(/ +/g, " ")), [
    "odd 1 of 2 50.0 %",
    "even 1 of 2 50.0 %",
    "total 2 of 4 50.0 %",
    "",
  ]);
  assert.deepEqual(model.requests.map((request) => "thinking" in request && request.thinking), [
    true,
    false,
    false,
    false,
  ]);
});

Deno.test("eval --task, --limit, --failures and --json choose and show", async () => {
  const { out } = await evaluate(["--task", "odd", "--failures", "--json"]);
  assert.deepEqual(JSON.parse(out), {
    tasks: [{ task: "odd", right: 1, of: 2, accuracy: 0.5 }],
    total: { right: 1, of: 2, accuracy: 0.5 },
    failures: [{ id: "t3", expected: "3", got: "no" }],
  });
  const { out: limited } = await evaluate(["--limit", "1", "--json"]);
  assert.deepEqual(JSON.parse(limited).total, { right: 2, of: 2, accuracy: 1 });
});

Deno.test("eval refuses files that hold no tasks", async () => {
  assert.match((await evaluate(["--task", "none"])).err, /has no task none/);
  const { code, err } = await ringlet(["eval", "README.md"]);
  assert.equal(code, 1);
  assert.match(err, /^ringlet: [^\n]+\n$/);
});

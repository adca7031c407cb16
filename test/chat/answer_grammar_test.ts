/** The texts that answers may be, by format, tools and thought. */
import assert from "node:assert/strict";
import { answerGrammar } from "../../src/chat/answer_grammar.ts";
import type { ChatRequest, Tool } from "../../src/chat/messages.ts";
import { RequestError } from "../../src/chat/request_error.ts";
import { taker } from "../grammar/vocabulary.ts";

const schema = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };
const format = { type: "json_schema", schema, strict: true } as const;
const tool = (name: string, strict?: boolean): Tool => ({
  type: "function",
  function: { name, parameters: schema, ...(strict !== undefined && { strict }) },
});
const call = (name: string, args: string) => `<tool_call>\n{"name": "${name}", "arguments": ${args}}\n</tool_call>`;

function check(
  wishes: Partial<ChatRequest>,
  thinking: boolean,
  taken: readonly string[],
  refused: readonly string[],
): void {
  const takes = taker(answerGrammar({ ...wishes }, thinking)!);
  for (const text of taken) assert.ok(takes(text), text);
  for (const text of refused) assert.ok(!takes(text), `not ${text}`);
}

Deno.test("answers are free without a format, a strict tool or a call that must be", () => {
  for (const tools of [[], [tool("f")], [tool("f", false)]]) {
    assert.equal(answerGrammar({ tools }, true), null);
    assert.equal(answerGrammar({ tools, toolChoice: "auto", responseFormat: { type: "text" } }, false), null);
  }
});

Deno.test("a format is all of the content", () => {
  check({ responseFormat: format }, false, ['{"n": 1}', '{"n":-2}'], [
    '{"n":1}\n',
    ' {"n":1}',
    '{"n":1,"m":2}',
    "{}",
    '<think>{"n":1}',
  ]);
  check({ responseFormat: { type: "json_object" } }, false, ["{}", '{"a": [1, {"b": null}]}'], ["[]", "1", ""]);
});

Deno.test("a thought comes before it, up to its first closing tag", () => {
  check(
    { responseFormat: format },
    true,
    [
      'hm </think>\n\n{"n":1}',
      '</think>{"n":1}',
      'a < b </thin </think>\n{"n":1}',
      '日本</think>{"n":1}',
      '{"n":2}</think>{"n":1}',
    ],
    ['{"n":1}', "hm", "hm </think>", '</think>\n\n\n{"n":1}', '</think>{"n":1}</think>'],
  );
});

Deno.test("a call that must be is all of the content, with arguments that fit if strict", () => {
  const tools = [tool("f", true), tool("g")];
  check(
    { tools, toolChoice: "required" },
    false,
    [
      call("f", '{"n": 1}'),
      call("g", '{"x": 1}'),
      `${call("f", '{"n":1}')}\n${call("g", "{}")}`,
      '<tool_call>{"name":"g","arguments":{}}</tool_call>',
    ],
    ["", "hello", call("f", "{}"), call("h", "{}"), `hm ${call("g", "{}")}`, call("g", "[]"), call("g", '"x"')],
  );
  check({ tools, toolChoice: { name: "g" } }, false, [call("g", "{}")], [
    call("f", '{"n":1}'),
    `${call("g", "{}")}\n${call("g", "{}")}`,
  ]);
  check({ tools, toolChoice: "required" }, true, [`hm</think>\n\n${call("g", "{}")}`], [call("g", "{}")]);
});

Deno.test("with strict tools the text is free, and the calls in it fit", () => {
  const f = call("f", '{"n": 1}');
  check(
    { tools: [tool("f", true)] },
    false,
    ["", "hello", "a <tool_cal", f, `Let me see.\n${f}`, `${f}\n${f}\nDone.`, "</tool_call> <b>"],
    [call("f", "{}"), "x <tool_call>", `${f}<tool_call>`, "<tool_call>\nhello"],
  );
});

Deno.test("with a format and tools the answer is one or the other", () => {
  const g = call("g", "{}");
  check({ responseFormat: format, tools: [tool("g")] }, false, ['{"n":1}', g, `${g}\n${g}`], ["x", `{"n":1}${g}`]);
});

Deno.test("what cannot be held to is a RequestError with its field", () => {
  const cases: [Partial<ChatRequest>, RequestError["field"], RegExp][] = [
    [
      { responseFormat: { ...format, schema: { items: { not: {} } } } },
      "responseFormat",
      /"not" is not supported, at #\/items$/,
    ],
    [{ responseFormat: { ...format, schema: false } }, "responseFormat", /no finite text fits/],
    [
      { tools: [{ type: "function", function: { name: "f", strict: true, parameters: { type: "x" } } }] },
      "tools",
      /^the parameters of f: .*"type"/,
    ],
    [{ toolChoice: "required" }, "toolChoice", /the request has none/],
    [{ toolChoice: { name: "h" }, tools: [tool("f")] }, "toolChoice", /"h": it is not among the tools/],
  ];
  for (const [wishes, field, message] of cases) {
    assert.throws(() => answerGrammar(wishes, false), (error) => {
      assert.ok(error instanceof RequestError);
      assert.equal(error.field, field);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("equal requests have equal keys, others not", () => {
  const keys = [{ responseFormat: format }, { responseFormat: { ...format, strict: false } }, {
    tools: [tool("f", true)],
  }, { tools: [tool("f", true)], toolChoice: "required" as const }]
    .flatMap((wishes) => [answerGrammar(wishes, true)!.key, answerGrammar(wishes, false)!.key]);
  assert.equal(new Set(keys).size, 8);
  assert.equal(answerGrammar({ responseFormat: { ...format } }, true)!.key, keys[0]);
});

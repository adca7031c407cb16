/** The output parser: what belongs where, and that no cut of the text changes it or loses a character. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { OutputParser, type OutputParserOptions, type ParsedPiece } from "../../src/chat/output_parser.ts";

interface Folded {
  reasoning: string;
  content: string;
  calls: { name: string; arguments: string }[];
}

const ANSWER: OutputParserOptions = { thinking: false, tools: true };
const THOUGHT: OutputParserOptions = { thinking: true, tools: true };

function parse(pieces: readonly string[], options: OutputParserOptions): ParsedPiece[] {
  const parser = new OutputParser(options);
  return [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()];
}

function fold(pieces: readonly ParsedPiece[]): Folded {
  const folded: Folded = { reasoning: "", content: "", calls: [] };
  for (const piece of pieces) {
    if (piece.type !== "tool_call") folded[piece.type] += piece.text;
    else if (piece.name !== undefined) {
      assert.equal(piece.index, folded.calls.length);
      folded.calls.push({ name: piece.name, arguments: piece.arguments });
    } else folded.calls[piece.index]!.arguments += piece.arguments;
  }
  return folded;
}

function expect(text: string, options: OutputParserOptions, expected: Partial<Folded>): void {
  const folded = fold(parse([text], options));
  assert.deepEqual(folded, { reasoning: "", content: "", calls: [], ...expected }, JSON.stringify(text));
  assert.deepEqual(fold(parse([...text], options)), folded, `one character at a time: ${JSON.stringify(text)}`);
}

const call = (name: string, args: string) => `<tool_call>\n{"name": "${name}", "arguments": ${args}}\n</tool_call>`;

Deno.test("OutputParser parts a thought that the prompt opened from the answer", () => {
  expect("Let me see.\n\n1+1=2\n</think>\n\nTwo.\n", THOUGHT, { reasoning: "Let me see.\n\n1+1=2", content: "Two.\n" });
  expect("\n</think>\n\nTwo.", THOUGHT, { content: "Two." });
  expect("<think>\nHm.</think>  Two.", THOUGHT, { reasoning: "Hm.", content: "  Two." });
  expect("never </think closed\n", THOUGHT, { reasoning: "never </think closed\n" });
});

Deno.test("OutputParser takes a thought that the output opens at its very beginning, and no other", () => {
  expect(" \n<think>\nHm.\n</think>\n\nTwo.", ANSWER, { reasoning: "Hm.", content: "Two." });
  expect("A <think>thought</think>", ANSWER, { content: "A <think>thought</think>" });
  expect("\n  indented", ANSWER, { content: "\n  indented" });
  expect("<thin", ANSWER, { content: "<thin" });
});

Deno.test("OutputParser keeps later tags in the content", () => {
  expect("a</think>b</think>c<think>d", THOUGHT, { reasoning: "a", content: "b</think>c<think>d" });
});

Deno.test("OutputParser reads one call, several calls, and content around them", () => {
  expect(call("now", "{}"), ANSWER, { calls: [{ name: "now", arguments: "{}" }] });
  expect(`Hm.\n</think>\n\nI look.\n${call("f", '{"a": [1, {"b": "}"}]}')}\n${call("g", '{"q": "\\"{"}')}\n`, THOUGHT, {
    reasoning: "Hm.",
    content: "I look.",
    calls: [{ name: "f", arguments: '{"a": [1, {"b": "}"}]}' }, { name: "g", arguments: '{"q": "\\"{"}' }],
  });
  expect(`Before\n${call("f", "{}")}\nAfter`, ANSWER, {
    content: "Before\nAfter",
    calls: [{ name: "f", arguments: "{}" }],
  });
});

Deno.test("OutputParser reads a name with escapes and tags within strings", () => {
  expect(call('\\u0066\\"', '{"html": "</tool_call> <tool_call>"}'), ANSWER, {
    calls: [{ name: 'f"', arguments: '{"html": "</tool_call> <tool_call>"}' }],
  });
});

Deno.test("OutputParser reads calls whose arguments come first, as a string or not at all", () => {
  const wrapped = (json: string) => `<tool_call>${json}</tool_call>`;
  expect(wrapped('{"arguments": {"a": 1}, "name": "f"}'), ANSWER, { calls: [{ name: "f", arguments: '{"a":1}' }] });
  expect(wrapped('{"name": "f", "arguments": "{\\"a\\": 1}"}'), ANSWER, {
    calls: [{ name: "f", arguments: '{"a": 1}' }],
  });
  expect(wrapped('{"name": "f"}'), ANSWER, { calls: [{ name: "f", arguments: "{}" }] });
  expect('<tool_call>{"name": "f"}', ANSWER, { calls: [{ name: "f", arguments: "{}" }] });
});

Deno.test("OutputParser hands a broken call out as content, and still finds the next one", () => {
  for (
    const text of [
      "<tool_call>\nnot JSON\n</tool_call>",
      '<tool_call>\n{"name": 3, "arguments": {}}\n</tool_call>',
      '<tool_call>\n{"name": "f", "arguments": 3}\n</tool_call>',
      '<tool_call>\n{"title": "f"}\n</tool_call>',
      '<tool_call>\n{"name": "f", "argum',
      '<tool_call>\n{"name": "f</tool_call>", "arguments": {}}\n</tool_call>',
      '<tool_call>\n{"title": "<tool_call>"}',
      "<tool_call>",
      "</tool_call>",
    ]
  ) {
    expect(text, ANSWER, { content: text });
    expect(`a\n\n${text} b`, ANSWER, { content: `a\n\n${text} b` });
  }
  expect(`The tag <tool_call> opens ${call("f", "{}")}`, ANSWER, {
    content: "The tag <tool_call> opens ",
    calls: [{ name: "f", arguments: "{}" }],
  });
});

Deno.test("OutputParser keeps the arguments of a call that breaks or ends after they began", () => {
  const start = '<tool_call>\n{"name": "f", "arguments": ';
  expect(`${start}{"a": [1, 2`, ANSWER, { calls: [{ name: "f", arguments: '{"a": [1, 2' }] });
  expect(`${start}{"a": 1</tool`, ANSWER, { calls: [{ name: "f", arguments: '{"a": 1</tool' }] });
  expect(`${start}{"a": 1,}}\n</tool_call>`, ANSWER, { calls: [{ name: "f", arguments: '{"a": 1,}' }] });
  expect(`${start}{"a": 1</tool_call>b`, ANSWER, { content: "b", calls: [{ name: "f", arguments: '{"a": 1' }] });
  expect(`${start}{"a": "it"s"}}\n</tool_call>b`, ANSWER, {
    content: "b",
    calls: [{ name: "f", arguments: '{"a": "it"s"}}' }],
  });
});

Deno.test("OutputParser ends a call without its closing tag, and shows what follows", () => {
  const start = '<tool_call>\n{"name": "f", "arguments": {}';
  const calls = [{ name: "f", arguments: "{}" }];
  expect(start, ANSWER, { calls });
  expect(`${start}}\n`, ANSWER, { calls });
  expect(`${start}}\n</tool`, ANSWER, { calls, content: "\n</tool" });
  expect(`${start}} and more`, ANSWER, { calls, content: " and more" });
  expect(`${start}, "id": 3}`, ANSWER, { calls, content: ', "id": 3}' });
  expect(`${start}}\n${call("g", "{}")}`, ANSWER, { calls: [...calls, { name: "g", arguments: "{}" }] });
});

Deno.test("OutputParser leaves calls in the content where no tools were offered, and in thoughts", () => {
  const text = call("f", "{}");
  expect(text, { thinking: false, tools: false }, { content: text });
  expect(`${text}</think>`, THOUGHT, { reasoning: text });
});

Deno.test("push() gives the name first and the arguments as they come", () => {
  const parser = new OutputParser(ANSWER);
  const shown = (text: string) => parser.push(text).map((piece) => ({ ...piece, end: undefined }));
  const delta = (part: object) => [{ type: "tool_call", index: 0, ...part, end: undefined }];
  assert.deepEqual(shown('<tool_call>\n{"name": "f", "arguments": '), []);
  assert.deepEqual(shown('{"city'), [
    ...delta({ name: "f", arguments: "" }),
    ...delta({ arguments: '{"city' }),
  ]);
  assert.deepEqual(shown('": "Par'), delta({ arguments: '": "Par' }));
  assert.deepEqual(shown('is"}'), delta({ arguments: 'is"}' }));
  assert.deepEqual(shown("}\n</tool_call>"), []);
});

Deno.test("push() holds back nothing but line breaks and what may become a tag", () => {
  const shown = (parser: OutputParser, text: string) =>
    parser.push(text).map((piece) => piece.type === "tool_call" ? piece.arguments : piece.text).join("");
  const thinking = new OutputParser(THOUGHT);
  assert.equal(shown(thinking, "a\n\n</th"), "a");
  assert.equal(shown(thinking, "e b"), "\n\n</the b");
  const answering = new OutputParser(ANSWER);
  assert.equal(shown(answering, "a <to"), "a ");
  assert.equal(shown(answering, "o < b"), "<too < b");
  const plain = new OutputParser({ thinking: false, tools: false });
  assert.equal(shown(plain, "a\n<tool_call>\n"), "a\n<tool_call>\n");
});

const FRAGMENTS = [
  "<think>",
  "</think>",
  "<tool_call>",
  "</tool_call>",
  "\n",
  "\n\n",
  " ",
  "<",
  "</",
  "tool_call>",
  '{"name": "f", "arguments": {',
  '<tool_call>\n{"name": "f", "arguments": {',
  '<tool_call>\n{"name": "f", "arguments": {}',
  '{"name": "f", "arguments": {}}',
  '{"arguments": {}, "name": "f"}',
  '"a": "',
  "}",
  "}}",
  "{",
  "]",
  '"',
  "\\",
  ", ",
  "text",
  "é🙂",
];
const messyText = fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 24 }).map((parts) => parts.join(""));
const anyOptions = fc.record({ thinking: fc.boolean(), tools: fc.boolean() });

/** The text in pieces, cut anywhere. */
const cutText = fc.tuple(messyText, fc.array(fc.nat())).map(([text, cuts]) => {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (text.length + 1)), text.length])].sort((a, b) => a - b);
  return { text, pieces: places.slice(1).map((end, i) => text.slice(places[i], end)) };
});

Deno.test("OutputParser gives the same for every way of cutting the text", () => {
  fc.assert(
    fc.property(cutText, anyOptions, ({ text, pieces }, options) => {
      const whole = fold(parse([text], options));
      assert.deepEqual(fold(parse(pieces, options)), whole);
      assert.deepEqual(fold(parse([...text], options)), whole);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("OutputParser needs time in proportion to the text, whatever a model repeats", () => {
  for (const repeated of ["<tool_call>", '<tool_call>{"', '<tool_call>{"name": "', "\n", "<", '{"'] as const) {
    const parser = new OutputParser(ANSWER);
    const start = performance.now();
    parser.push(repeated.repeat(30_000));
    parser.end();
    assert.ok(performance.now() - start < 1000, `${JSON.stringify(repeated)}: ${performance.now() - start} ms`);
  }
});

Deno.test("OutputParser reads back every answer that a template writes", () => {
  const noTag = (text: string) => !text.includes("<");
  const line = fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }).filter((text) => noTag(text));
  const prose = fc.array(line, { maxLength: 3 }).map((lines) => lines.join("\n").replace(/^\n+|\n+$/g, ""));
  const calls = fc.array(
    fc.record({ name: fc.string({ minLength: 1 }), arguments: fc.dictionary(fc.string(), fc.jsonValue()) }),
  );
  fc.assert(
    fc.property(prose, prose, calls, (reasoning, content, calls) => {
      const written = calls.map(({ name, arguments: args }) => ({ name, arguments: JSON.stringify(args) }));
      const blocks = written.map((one) =>
        `<tool_call>\n{"name": ${JSON.stringify(one.name)}, "arguments": ${one.arguments}}\n</tool_call>`
      );
      const text = `${reasoning}\n</think>\n\n${[...(content ? [content] : []), ...blocks].join("\n")}`;
      assert.deepEqual(fold(parse([text], THOUGHT)), { reasoning, content, calls: written });
    }),
    { numRuns: 500 },
  );
});

/** What lies between two pieces: tags, line breaks and a call's frame, nothing that anyone wrote to be read. */
function assertFrame(gap: string, piece: ParsedPiece | null, original: string): void {
  const head = piece?.type === "tool_call" && piece.name !== undefined ? gap.indexOf("<tool_call>") : gap.length;
  assert.match(
    gap.slice(0, head),
    /^\s*(<think>)?\n*(<\/think>)?\n*(\s*\}?)?\s*(<\/tool_call>)?\n*$/,
    JSON.stringify({ original, gap }),
  );
  if (piece?.type !== "tool_call" || piece.name === undefined) return;
  const json = gap.slice(head + "<tool_call>".length);
  const whole = JSON.parse(piece.arguments === "" ? `${json}{}}` : json);
  assert.equal(whole.name, piece.name);
  if (piece.arguments !== "") assert.deepEqual(JSON.parse(piece.arguments), whole.arguments);
}

Deno.test("OutputParser loses nothing but tags and line breaks next to them, however malformed the text", () => {
  fc.assert(
    fc.property(messyText, anyOptions, (text, options) => {
      let read = 0;
      for (const piece of parse([...text], options)) {
        // A call that came whole shows its arguments spelled anew.
        const whole = piece.type === "tool_call" && piece.name !== undefined;
        const shown = whole ? "" : piece.type === "tool_call" ? piece.arguments : piece.text;
        const start = piece.end - shown.length;
        assert.equal(text.slice(start, piece.end), shown);
        assertFrame(text.slice(read, start), piece, text);
        read = piece.end;
      }
      assertFrame(text.slice(read), null, text);
    }),
    { numRuns: 5000 },
  );
});

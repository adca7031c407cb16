/** A vocabulary for tests: every byte, pieces of JSON and of characters, and one token that ends an answer. */
import { Rules } from "../../src/grammar/expression.ts";
import { Automaton, type State } from "../../src/grammar/automaton.ts";
import { schemaExpression } from "../../src/grammar/schema.ts";
import { shareTokenBytes } from "../../src/grammar/vocabulary.ts";
import type { Grammar } from "../../src/pipeline/requests.ts";

const utf8 = new TextEncoder();
const TEXTS = [
  '", "',
  '": ',
  '":',
  '{"',
  '"}',
  '"]',
  "}}",
  "]}",
  ", ",
  "true",
  "null",
  "false",
  "12",
  ".5",
  "-1",
  "\\n",
  "\\u",
];
const WORDS = [
  "a",
  "the",
  "name",
  'name"',
  "value",
  "é",
  "日本",
  "😀",
  " x",
  "ab",
  "2024-0",
  "e1",
  "T1",
  "   ",
  "<tool_call>",
  "</",
];
/** Ends of one character with the beginning of the next. */
const HALVES = [[0xe6, 0x97], [0xa5, 0xe6, 0x9c], [0xf0, 0x9f], [0x98, 0x80, 0x22], [0xc3], [0xa9, 0x22, 0x2c], [
  0xed,
  0xa0,
], [0xc0, 0x80]];

export const TOKENS: readonly Uint8Array[] = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...[...TEXTS, ...WORDS].map((text) => utf8.encode(text)),
  ...HALVES.map((bytes) => Uint8Array.from(bytes)),
  utf8.encode("the"), // as another token
  new Uint8Array(), // a special one
  new Uint8Array(),
];
export const END = TOKENS.length - 1;
export const SHARED = shareTokenBytes(TOKENS.length, (id) => TOKENS[id]!);

let grammars = 0;

export function schemaGrammar(schema: unknown, strict = false): Grammar {
  const rules = new Rules();
  return rules.grammar(`schema ${grammars++}`, schemaExpression(rules, schema, { strict }));
}

export function textOf(ids: readonly number[]): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(ids.flatMap((id) => [...TOKENS[id]!])));
}

/** Whether a grammar takes texts as wholes. */
export function taker(grammar: Grammar): (text: string) => boolean {
  const automaton = new Automaton(grammar);
  return (text) => {
    let state: State | null = automaton.start();
    for (const byte of utf8.encode(text)) {
      automaton.rest();
      state = state && automaton.step(state, byte);
    }
    return state?.accepting ?? false;
  };
}

/** Whether a schema takes JSON texts. */
export const schemaTaker = (schema: unknown, strict = false) => taker(schemaGrammar(schema, strict));

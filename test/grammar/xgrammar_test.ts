/** Masks side by side with those of XGrammar, an implementation by others: where they differ it is for a reason that is named here. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import type * as XGrammar from "@mlc-ai/web-xgrammar";
import { ALPHABET } from "../../src/chat/tokenizer_bytes.ts";
import { Matcher } from "../../src/grammar/matcher.ts";
import { TokenMasks } from "../../src/grammar/token_masks.ts";
import { Vocabulary } from "../../src/grammar/vocabulary.ts";
import { END, schemaGrammar, SHARED, TOKENS } from "./vocabulary.ts";

const person = {
  type: "object",
  properties: { name: { type: "string" }, next: { anyOf: [{ $ref: "#" }, { type: "null" }] } },
  required: ["name", "next"],
};
const CASES: readonly (readonly [schema: unknown, text: string])[] = [
  [
    { type: "object", properties: { s: { type: "string" }, n: { type: "integer" } }, required: ["s", "n"] },
    '{"s": "a é日本 \\n\\u00e9the", "n": -12}',
  ],
  [{ type: "array", items: { enum: ["a", "value", 12, null] }, minItems: 1 }, '["a", 12, null, "value"]'],
  [person, '{"name": "ab", "next": {"name": "😀", "next": null}}'],
  [{
    type: "object",
    properties: { a: { type: "boolean" }, b: { type: "null" }, c: { const: "x y" } },
    required: ["b"],
  }, '{"b": null, "c": "x y"}'],
  [{
    type: "array",
    prefixItems: [{ type: "boolean" }, { type: "string", pattern: "^[a-c]{2,4}$" }],
    items: false,
    minItems: 2,
  }, '[true, "abca"]'],
  [{ type: "integer", minimum: -5, maximum: 120 }, "117"],
  [{
    anyOf: [{ type: "object", properties: { k: { const: "a" } }, required: ["k"] }, {
      type: "object",
      properties: { k: { const: "ab" } },
      required: ["k"],
    }],
  }, '{"k": "ab"}'],
];

/** Its package is no module that Deno can import: it expects what CommonJS has, also later on, and leaves its exports in a global. */
async function load(): Promise<typeof XGrammar> {
  const scope = globalThis as unknown as Record<string, unknown>;
  Object.assign(scope, { require: createRequire(import.meta.url), __filename: "/index.js", __dirname: "/" });
  await import("@mlc-ai/web-xgrammar");
  return scope.xgrammar as typeof XGrammar;
}

const joined = (text: string, id: number) => Uint8Array.from([...new TextEncoder().encode(text), ...TOKENS[id]!]);

/** It takes bytes that begin no character, and with them text that no parser reads. */
function isBroken(text: string, id: number): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(joined(text, id), { stream: true });
    return /\\u?$/.test(text) || /\\u?d[89a-f]/i.test(text);
  } catch {
    return true;
  }
}

/** It was told to put a space behind each comma and colon, and takes no -0. */
function isCompact(text: string, id: number): boolean {
  const all = new TextDecoder("utf-8").decode(joined(text, id));
  return /[,:](?! |$)/.test(all.slice(Math.max(0, text.length - 1))) || all.endsWith("-0");
}

/** It leaves out a token that ends two values at once where a schema refers to itself. */
function isWhole(text: string, id: number): boolean {
  try {
    JSON.parse(new TextDecoder("utf-8").decode(joined(text, id)));
    return true;
  } catch {
    return false;
  }
}

Deno.test("masks are those of XGrammar but for spaces and broken characters", async (t) => {
  let library: typeof XGrammar;
  try {
    library = await load();
  } catch (error) {
    // deno-lint-ignore no-console -- a test that is skipped says why
    console.warn(`Skipped: XGrammar cannot be loaded here: ${(error as Error).message}`);
    return;
  }
  const { TokenizerInfo, GrammarCompiler, GrammarMatcher } = library;
  const spelled = TOKENS.map((bytes, id) =>
    bytes.length === 0 ? `<special ${id}>` : Array.from(bytes, (byte) => ALPHABET[byte]).join("")
  );
  const info = await TokenizerInfo.createTokenizerInfo(spelled, "byte_level", false, TOKENS.length, [END]);
  const compiler = await GrammarCompiler.createGrammarCompiler(info);
  const vocabulary = new Vocabulary(SHARED, TOKENS.length);
  for (const [schema, text] of CASES) {
    await t.step(text, async () => {
      const compiled = await compiler.compileJSONSchema(JSON.stringify(schema), false, -1, [", ", ": "], true);
      const theirs = await GrammarMatcher.createGrammarMatcher(compiled);
      const ours = new Matcher(new TokenMasks(schemaGrammar(schema, true), vocabulary), [END]);
      let same = 0;
      for (let at = 0; at <= text.length; at++) {
        const [before, next] = [text.slice(0, at), text.slice(at, at + 1)];
        if (!before.isWellFormed()) continue;
        const mask = await theirs.getNextTokenBitmask();
        const { bits } = ours.allowed;
        for (let id = 0; id < TOKENS.length; id++) {
          if (TOKENS[id]!.length === 0 && id !== END) continue; // it knows special tokens by their names alone
          const [their, our] = [mask, bits].map((words) => words[id >>> 5]! >>> (id & 31) & 1);
          if (their === our) same++;
          else {assert.ok(
              their === 1 ? isBroken(before, id) : isCompact(before, id) || isWhole(before, id),
              `${their}, not ${our}, for ${spelled[id]} after ${before}`,
            );}
        }
        for (const byte of new TextEncoder().encode(next.isWellFormed() ? next : text.slice(at, at + 2))) {
          assert.ok(theirs.acceptToken(byte), `XGrammar refuses ${text} at ${at}`);
          ours.accept(byte);
        }
      }
      assert.ok(same > 0.9 * (text.length + 1) * TOKENS.length);
    });
  }
});

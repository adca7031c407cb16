/** The incremental decoder: whole characters only, and in the end the text that decode() gives. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Detokenizer } from "../../src/chat/detokenizer.ts";
import { Tokenizer } from "../../src/chat/tokenizer.ts";
import { ALPHABET } from "../../src/chat/tokenizer_bytes.ts";

const tokenizer = await Tokenizer.fromFile(new URL("../../models/ring-nano/tokenizer.json", import.meta.url));
const byteIds = ALPHABET.map((char) => tokenizer.idOf(char)!);
const utf8 = new TextEncoder();

/** What each byte of `bytes`, pushed as a token of its own, gave, and what flush() gave. */
function shown(bytes: Iterable<number>): string[] {
  const detokenizer = new Detokenizer(tokenizer);
  return [...Array.from(bytes, (byte) => detokenizer.push(byteIds[byte]!)), detokenizer.flush()];
}

Deno.test("push() returns a character with its last byte", () => {
  assert.deepEqual(shown(utf8.encode("aé好👩")), ["a", "", "é", "", "", "好", "", "", "", "👩", ""]);
  assert.deepEqual(shown(utf8.encode("\ufeffa")), ["", "", "\ufeff", "a", ""]);
});

Deno.test("push() returns U+FFFD as soon as bytes are certain to be invalid", () => {
  assert.deepEqual(shown([0xff, 0x61]), ["\ufffd", "a", ""]);
  assert.deepEqual(shown([0xe5, 0xa5, 0x61]), ["", "", "\ufffda", ""]);
  assert.deepEqual(shown([0xe5, 0xe5, 0xa5, 0xbd]), ["", "\ufffd", "", "好", ""]);
  assert.deepEqual(shown([0xc0, 0x80]), ["\ufffd", "\ufffd", ""]);
});

Deno.test("flush() returns U+FFFD for half a character and makes ready for the next text", () => {
  const detokenizer = new Detokenizer(tokenizer);
  assert.equal(detokenizer.push(byteIds[0xf0]!) + detokenizer.push(byteIds[0x9f]!), "");
  assert.equal(detokenizer.flush(), "\ufffd");
  assert.equal(detokenizer.flush(), "");
  assert.equal(detokenizer.push(byteIds[0x61]!), "a");
});

Deno.test("push() never returns half a character", () => {
  const anyText = fc.array(fc.nat(0x10ffff)).map((codes) => String.fromCodePoint(...codes).toWellFormed());
  fc.assert(fc.property(anyText, (text) => {
    const detokenizer = new Detokenizer(tokenizer);
    const pieces = [...tokenizer.encode(text)].map((id) => detokenizer.push(id));
    for (const piece of pieces) assert.ok(piece.isWellFormed());
    assert.equal(pieces.join(""), text);
    assert.equal(detokenizer.flush(), "");
  }));
});

Deno.test("push() and flush() together return what decode() returns, whatever the ids", () => {
  const id = fc.oneof(fc.nat(tokenizer.vocabSize + 10), fc.constantFrom(...byteIds.slice(0x80)));
  fc.assert(
    fc.property(fc.array(id, { maxLength: 60 }), fc.boolean(), (ids, skipSpecial) => {
      const detokenizer = new Detokenizer(tokenizer, { skipSpecial });
      const text = ids.map((id) => detokenizer.push(id)).join("") + detokenizer.flush();
      assert.equal(text, tokenizer.decode(ids, { skipSpecial }));
    }),
    { numRuns: 1000 },
  );
});

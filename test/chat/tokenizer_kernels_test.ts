/** The WASM functions of the tokenizer by themselves: where they split a text, and how much work merging takes. */
import assert from "node:assert/strict";
import { Tokenizer as Official } from "tokenizers";
import { SPLIT_PATTERN } from "../../src/chat/tokenizer_bpe.ts";
import { Memory } from "../../wasm/memory.ts";
import { type TokenizerExports, url } from "../../wasm/tokenizer.ts";
import { fuzz, TEXTS } from "./tokenizer_corpus.ts";

const memory = await Memory.load<TokenizerExports>(url);
const { kernels } = memory;
const utf8 = new TextEncoder();

/** Runs tokenizer_split; the result holds until `memory.release`. */
function split(text: string) {
  const bytes = utf8.encode(text);
  const ptr = memory.alloc("u8", bytes.length + 16);
  memory.view("u8", ptr, bytes.length).set(bytes);
  const ends = memory.alloc("u32", bytes.length);
  return { bytes, ptr, ends, pieces: kernels.tokenizer_split(ptr, bytes.length, ends) };
}

function pieceLengths(text: string): number[] {
  const mark = memory.mark();
  const { ends, pieces } = split(text);
  const lengths = [...memory.view("u32", ends, pieces)].map((end, i, all) => end - (all[i - 1] ?? 0));
  memory.release(mark);
  return lengths;
}

const officialSplit = Official.fromString(JSON.stringify({
  version: "1.0",
  added_tokens: [],
  pre_tokenizer: { type: "Split", pattern: { Regex: SPLIT_PATTERN }, behavior: "Isolated", invert: false },
  model: { type: "BPE", vocab: { a: 0 }, merges: [] },
})).getPreTokenizer()!;

function assertSameSplit(text: string): void {
  const expected = officialSplit.preTokenizeString(text.toWellFormed()).map(([piece]) => utf8.encode(piece).length);
  assert.deepEqual(pieceLengths(text), expected, JSON.stringify(text.slice(0, 200)));
}

/** Every character with a class of its own choosing: the planes of scripts and symbols in full, the others sampled. */
function* codePoints(): Generator<number> {
  for (let code = 0; code < 0x33500; code++) if (code < 0xd800 || code > 0xdfff) yield code;
  for (let code = 0x33500; code < 0x110000; code += 61) yield code;
  for (let code = 0xe0000; code < 0xe0200; code++) yield code;
}

Deno.test("tokenizer_split() splits around each character as the official regex does", () => {
  let text = "";
  for (const code of codePoints()) {
    const char = String.fromCodePoint(code);
    // Letters, numbers, white space, newlines and all else each split this in their own way.
    text += `${char}a!${char}!`;
    if (text.length < 10_000) continue;
    assertSameSplit(text);
    text = "";
  }
  assertSameSplit(text);
});

Deno.test("tokenizer_split() splits as the official regex does, wherever the text is cut", () => {
  for (const text of [...Object.values(TEXTS), ...fuzz(7, 1000)]) assertSameSplit(text);
  const cut = [TEXTS.contractions!, TEXTS.newlines!, TEXTS.spaces!, TEXTS.emoji!].join("");
  for (let end = 0; end <= cut.length; end++) assertSameSplit(cut.slice(0, end));
});

/** A model of bytes and of merges that join each two of `bytes` to one token, each two of those to the next, 16 times. */
function doublingModel(bytes: Uint8Array) {
  const first: number[] = bytes.length === 1 ? [] : [bytes[0]!, bytes[1]!, 256];
  const merges = [...first];
  for (let left = first[2] ?? bytes[0]!, id = 257; id < 273; left = id++) merges.push(left, left, id);
  const model = memory.alloc("u32", kernels.tokenizer_model_words(merges.length / 3));
  const byteIds = memory.copy("u32", Array.from({ length: 256 }, (_, byte) => byte));
  kernels.tokenizer_init(model, byteIds, memory.copy("u32", merges), merges.length / 3);
  return model;
}

Deno.test("tokenizer_encode() takes O(n log n) steps on one piece that merges again and again", () => {
  for (const unit of ["a", "ab", "é"]) {
    const mark = memory.mark();
    const model = doublingModel(utf8.encode(unit));
    const steps = (letters: number) => {
      const { bytes, ptr, ends, pieces } = split(unit.repeat(letters / unit.length));
      assert.equal(pieces, 1);
      const scratch = memory.alloc("u32", kernels.tokenizer_scratch_words(ends, pieces));
      const tokens = kernels.tokenizer_encode(model, ptr, ends, pieces, scratch, memory.alloc("u32", bytes.length));
      assert.ok(tokens < 30, `${unit}: ${tokens} tokens`);
      const taken = kernels.tokenizer_steps(model);
      assert.ok(taken > bytes.length && taken < 4 * bytes.length * Math.log2(bytes.length), `${unit}: ${taken} steps`);
      return taken;
    };
    const half = steps(100_000), whole = steps(200_000);
    assert.ok(whole < 2.3 * half, `${unit}: ${half} steps for 100,000 letters, ${whole} for 200,000`);
    memory.release(mark);
  }
});

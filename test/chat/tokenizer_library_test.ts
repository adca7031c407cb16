/** Tokenizers that the WASM code does not know, by @huggingface/tokenizers behind the same class. */
import assert from "node:assert/strict";
import { Tokenizer as Official } from "tokenizers";
import { Detokenizer } from "../../src/chat/detokenizer.ts";
import { Tokenizer } from "../../src/chat/tokenizer.ts";
import { ALPHABET } from "../../src/chat/tokenizer_bytes.ts";

const added = (id: number, content: string) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});
const base = { version: "1.0", truncation: null, padding: null, normalizer: null, post_processor: null };
const numbered = (tokens: readonly string[]) => Object.fromEntries(tokens.map((token, id) => [token, id]));

const unigram = {
  ...base,
  added_tokens: [added(0, "<unk>"), added(1, "</s>")],
  normalizer: { type: "NFKC" },
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  model: {
    type: "Unigram",
    unk_id: 0,
    byte_fallback: false,
    vocab: [
      ["<unk>", 0],
      ["</s>", 0],
      ...["▁hello", "▁", "hello", "wor", "ld", "▁wor", "he", "l", "o", "<", "/", "s", ">", "é"].map((
        t,
        i,
      ) => [t, -2 - i]),
    ],
  },
};

const wordPiece = {
  ...base,
  added_tokens: [added(0, "[UNK]"), added(1, "[CLS]")],
  normalizer: {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: "BertPreTokenizer" },
  decoder: { type: "WordPiece", prefix: "##", cleanup: false },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: numbered(["[UNK]", "[CLS]", "hello", "wor", "##ld", "[", "]", "cls", "!", "##s"]),
  },
};

const otherSplit = {
  ...base,
  added_tokens: [added(258, "<|end|>")],
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: "\\p{N}{1,3}|\\p{L}+|[^\\p{L}\\p{N}]" }, behavior: "Isolated", invert: false },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: { type: "BPE", vocab: numbered([...ALPHABET, "he", "12"]), merges: [["h", "e"], ["1", "2"]] },
};

const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
const byteFallback = {
  ...base,
  added_tokens: [added(0, "<unk>"), added(1, "<s>")],
  normalizer: { type: "Sequence", normalizers: [{ type: "Replace", pattern: { String: " " }, content: "▁" }] },
  pre_tokenizer: null,
  decoder: {
    type: "Sequence",
    decoders: [
      { type: "Replace", pattern: { String: "▁" }, content: " " },
      { type: "ByteFallback" },
      { type: "Fuse" },
    ],
  },
  model: {
    type: "BPE",
    unk_token: "<unk>",
    fuse_unk: true,
    byte_fallback: true,
    vocab: numbered(
      ["<unk>", "<s>", ...bytes, ..."▁hello<s>world", "he"].filter((token, i, all) => all.indexOf(token) === i),
    ),
    merges: ["h e"],
  },
};

const KINDS = { Unigram: unigram, WordPiece: wordPiece, "another split": otherSplit, "byte fallback": byteFallback };
const TEXTS = [
  "hello world",
  "hello",
  "hello 12345 hello!",
  "Hello  world s",
  "",
  "<s> hello</s><unk>",
  "[CLS] hello [UNK]",
  "x<|end|>",
];

for (const [kind, json] of Object.entries(KINDS)) {
  Deno.test(`encode() and decode() equal the official tokenizer, ${kind}`, async () => {
    const ours = await Tokenizer.fromJson(json);
    const official = Official.fromString(JSON.stringify(json));
    for (const text of TEXTS) {
      const expected = (await official.encode(text, null, { addSpecialTokens: false })).getIds();
      assert.deepEqual([...ours.encode(text, { special: true })], expected, text);
      assert.equal(ours.decode(expected), await official.decode(expected, false), text);
      assert.equal(ours.decode(expected, { skipSpecial: true }), await official.decode(expected, true), text);
    }
  });

  Deno.test(`encode() makes no special token out of text, ${kind}`, async () => {
    const ours = await Tokenizer.fromJson(json);
    const unknown = ours.idOf("<unk>") ?? ours.idOf("[UNK]");
    for (const { id, content } of ours.addedTokens) {
      assert.ok(ours.encode(content, { special: true }).includes(id));
      if (id !== unknown) assert.ok(!ours.encode(content).includes(id), content);
    }
  });

  Deno.test(`Detokenizer gives what decode() gives, ${kind}`, async () => {
    const ours = await Tokenizer.fromJson(json);
    for (const text of [...TEXTS, "好 hello 好é!", "hello好"]) {
      for (const skipSpecial of [false, true]) {
        const ids = ours.encode(text, { special: true });
        const detokenizer = new Detokenizer(ours, { skipSpecial });
        const shown = [...ids].map((id) => detokenizer.push(id));
        assert.equal(shown.join("") + detokenizer.flush(), ours.decode(ids, { skipSpecial }), text);
      }
    }
  });
}

Deno.test("tokenBytes() gives the byte of a byte token, and a space for its sign", async () => {
  const ours = await Tokenizer.fromJson(byteFallback);
  assert.deepEqual([...ours.tokenBytes(ours.idOf("<0xE5>")!)], [0xe5]);
  assert.deepEqual([...ours.tokenBytes(ours.idOf("▁")!)], [0x20]);
});

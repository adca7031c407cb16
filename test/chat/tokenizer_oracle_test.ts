/** The tokenizer against the official Rust library: the same ids and the same texts. */
import assert from "node:assert/strict";
import { Tokenizer as Official } from "tokenizers";
import { Tokenizer } from "../../src/chat/tokenizer.ts";
import { fuzz, random, TEXTS } from "./tokenizer_corpus.ts";
import { o200kJson } from "./tokenizer_o200k.ts";

const FUZZ = 10_000;

interface Pair {
  readonly json: Json;
  readonly ours: Tokenizer;
  readonly official: Official;
  /** Knows no added tokens: what text from a user is to it. */
  readonly ordinary: Official;
}

type Json = ReturnType<typeof o200kJson>;

async function pairOf(json: Json): Promise<Pair> {
  return {
    json,
    ours: await Tokenizer.fromJson(json),
    official: Official.fromString(JSON.stringify(json)),
    ordinary: Official.fromString(JSON.stringify({ ...json, added_tokens: [] })),
  };
}

const ringNano = JSON.parse(
  await Deno.readTextFile(new URL("../../models/ring-nano/tokenizer.json", import.meta.url)),
) as Json;
const nano = await pairOf(ringNano);
const large = await pairOf(o200kJson());
const PAIRS = { "ring-nano": nano, "157,000 tokens": large };

async function officialIds(official: Official, texts: readonly string[]): Promise<number[][]> {
  const wellFormed = texts.map((text) => text.toWellFormed());
  const encodings = await official.encodeBatch(wellFormed, { addSpecialTokens: false });
  return encodings.map((encoding) => encoding.getIds());
}

async function assertSameIds({ ours, official, ordinary }: Pair, texts: readonly string[]): Promise<void> {
  const [asText, asTokens] = [await officialIds(ordinary, texts), await officialIds(official, texts)];
  texts.forEach((text, i) => {
    assert.deepEqual([...ours.encode(text)], asText[i], `ordinary ${JSON.stringify(text)}`);
    assert.deepEqual([...ours.encode(text, { special: true })], asTokens[i], `special ${JSON.stringify(text)}`);
  });
}

async function assertSameTexts({ ours, official }: Pair, sequences: number[][]): Promise<void> {
  for (const skipSpecial of [false, true]) {
    const expected = await official.decodeBatch(sequences, skipSpecial);
    sequences.forEach((ids, i) => assert.equal(ours.decode(ids, { skipSpecial }), expected[i], `ids ${ids}`));
  }
}

Deno.test("the vocabulary built for the test has 157,000 tokens, of which all but bytes and added ones have a merge", () => {
  const { vocab, merges } = large.json.model;
  assert.equal(large.ours.vocabSize, 157_000);
  assert.equal(Object.keys(vocab).length + large.json.added_tokens.length, 157_000);
  assert.equal(new Set(merges.map((pair) => pair.join(""))).size, Object.keys(vocab).length - 256);
});

for (const [name, pair] of Object.entries(PAIRS)) {
  Deno.test(`encode() and decode() equal the official tokenizer on every kind of text, ${name}`, async () => {
    const texts = Object.values(TEXTS);
    await assertSameIds(pair, [...texts, texts.join(""), texts.join("\n\n")]);
    await assertSameTexts(pair, texts.map((text) => [...pair.ours.encode(text, { special: true })]));
  });

  Deno.test(`encode() and decode() equal the official tokenizer on ${FUZZ} fuzz strings, ${name}`, async () => {
    const texts = fuzz(2, FUZZ);
    await assertSameIds(pair, texts);
    await assertSameTexts(pair, texts.map((text) => [...pair.ours.encode(text, { special: true })]));
  });

  Deno.test(`decode() equals the official tokenizer on random ids, ${name}`, async () => {
    const next = random(3);
    const id = () => Math.floor(next() ** 3 * pair.ours.vocabSize); // low ids, single bytes among them, more often
    const sequences = Array.from({ length: 2000 }, () => Array.from({ length: Math.floor(next() * 20) }, id));
    await assertSameTexts(pair, sequences);
  });

  Deno.test(`encode() equals the official tokenizer on 200,000 equal letters, ${name}`, async () => {
    await assertSameIds(pair, ["a".repeat(200_000), "好".repeat(20_000), "=".repeat(200_001)]);
  });

  Deno.test(`decode() gives back every well-formed text that encode() got, ${name}`, () => {
    for (const text of [...Object.values(TEXTS), ...fuzz(4, 2000)]) {
      assert.equal(pair.ours.decode(pair.ours.encode(text)), text.toWellFormed());
      assert.equal(pair.ours.decode(pair.ours.encode(text, { special: true })), text.toWellFormed());
    }
  });
}

Deno.test("encode() gives the golden file's ids, decode() its texts", async () => {
  const { prompts } = JSON.parse(
    await Deno.readTextFile(new URL("../../models/ring-nano-golden.json", import.meta.url)),
  );
  assert.ok(prompts.length > 0);
  for (const { prompt, prompt_ids, greedy_ids, greedy_text } of prompts) {
    assert.deepEqual([...nano.ours.encode(prompt, { special: true })], prompt_ids);
    assert.equal(nano.ours.decode(greedy_ids), greedy_text);
  }
});

Deno.test("encode() equals the official tokenizer on the sources of this project", async () => {
  const texts: string[] = [];
  for (const folder of ["src/chat", "wasm", "test/chat"]) {
    const url = new URL(`../../${folder}/`, import.meta.url);
    for await (const { name, isFile } of Deno.readDir(url)) {
      if (isFile && /\.(ts|[ch])$/.test(name)) texts.push(await Deno.readTextFile(new URL(name, url)));
    }
  }
  assert.ok(texts.length > 10);
  await assertSameIds(nano, texts);
  await assertSameIds(large, texts);
});

Deno.test("encode() finds normalized added tokens after the others, as the official tokenizer does", async () => {
  const added_tokens = ringNano.added_tokens.map((token) => ({ ...token, normalized: !token.special }));
  const extra = { ...added_tokens[0]!, id: 4096, content: "<role>x", normalized: true, special: false };
  const longer = { ...added_tokens[0]!, id: 4097, content: "<think>\n", special: false };
  const pair = await pairOf({ ...ringNano, added_tokens: [...added_tokens, extra, longer] });
  await assertSameIds(pair, ["<role>x</think><think>\n<think>", "a<role>xy<think> <tool_call><role>", TEXTS.added!]);
});

Deno.test("encode() equals the official tokenizer where several merges give one token or a merge is repeated", async () => {
  const { model } = ringNano;
  const merges = Object.keys(model.vocab).flatMap((token) =>
    Array.from({ length: token.length - 1 }, (_, i): [string, string] => [token.slice(0, i + 1), token.slice(i + 1)])
      .filter(([left, right]) => Object.hasOwn(model.vocab, left) && Object.hasOwn(model.vocab, right))
  );
  assert.ok(merges.length > model.merges.length);
  const repeated = merges.slice(0, 300).reverse();
  const pair = await pairOf({ ...ringNano, model: { ...model, merges: [...merges, ...repeated] } });
  await assertSameIds(pair, [...Object.values(TEXTS), ...fuzz(5, 500)]);
});

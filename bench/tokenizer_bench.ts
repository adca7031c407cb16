/** Encodes and decodes 1 MB of text with 157,000 tokens: ours, @huggingface/tokenizers and the official Rust library. */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { Tokenizer as Official } from "tokenizers";
import { Tokenizer } from "../src/chat/tokenizer.ts";
import { random, TEXTS } from "../test/chat/tokenizer_corpus.ts";
import { o200kJson } from "../test/chat/tokenizer_o200k.ts";

const MEGABYTE = 1_000_000;
const json = o200kJson();
const text = JSON.stringify(json);
const ours = await Tokenizer.fromJson(json);
const library = new Library(json, {});
const official = Official.fromString(text);

/** Sentences of the vocabulary's words, the early ones more often, with a text of each other kind in between. */
function corpus(): string {
  const next = random(1);
  const words = Object.keys(json.model.vocab).filter((token) => /^Ġ[A-Za-z]{2,}$/.test(token));
  const others = Object.values(TEXTS);
  const parts: string[] = [];
  for (let length = 0; length < MEGABYTE; length += parts.at(-1)!.length) {
    const sentence = Array.from({ length: 12 }, () => words[Math.floor(next() ** 4 * words.length)]!.slice(1));
    parts.push(next() < 0.02 ? others[Math.floor(next() * others.length)]! : `${sentence.join(" ")}.\n`);
  }
  return parts.join("").slice(0, MEGABYTE);
}

const megabyte = corpus();
const ids = ours.encode(megabyte);
const list = [...ids];

Deno.bench("Ringlet", { group: "encode 1 MB", baseline: true }, () => {
  ours.encode(megabyte);
});

Deno.bench("@huggingface/tokenizers", { group: "encode 1 MB", n: 3, warmup: 1 }, () => {
  library.encode(megabyte);
});

Deno.bench("tokenizers (Rust)", { group: "encode 1 MB" }, async () => {
  await official.encode(megabyte);
});

Deno.bench("Ringlet", { group: `decode ${ids.length} tokens`, baseline: true }, () => {
  ours.decode(ids);
});

Deno.bench("@huggingface/tokenizers", { group: `decode ${ids.length} tokens`, n: 3, warmup: 1 }, () => {
  library.decode(list, { clean_up_tokenization_spaces: false });
});

Deno.bench("tokenizers (Rust)", { group: `decode ${ids.length} tokens` }, async () => {
  await official.decode(list, false);
});

Deno.bench("Ringlet", { group: "load", baseline: true }, async () => {
  await Tokenizer.fromJson(JSON.parse(text));
});

Deno.bench("@huggingface/tokenizers", { group: "load", n: 3, warmup: 1 }, () => {
  new Library(JSON.parse(text), {});
});

Deno.bench("tokenizers (Rust)", { group: "load", n: 3, warmup: 1 }, () => {
  Official.fromString(text);
});

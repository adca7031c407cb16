/** A tokenizer.json of 157,000 tokens in the family's form, made of o200k's ranks. */
import o200k from "js-tiktoken/ranks/o200k_base";
import { SPLIT_PATTERN } from "../../src/chat/tokenizer_bpe.ts";
import { ALPHABET } from "../../src/chat/tokenizer_bytes.ts";

const SIZE = 157_000;
const ADDED = [
  "<|startoftext|>",
  "<|endoftext|>",
  "[CLS]",
  "[gMASK]",
  "<|role_end|>",
  "<role>",
  "</role>",
  "<think>",
  "</think>",
  "<tool_call>",
  "</tool_call>",
];

/** o200k's tokens by rank, each byte as one character of Latin-1. */
function ranked(): string[] {
  const [, first, ...tokens] = o200k.bpe_ranks.split(" ");
  if (first !== "0") throw new Error(`o200k's ranks start at ${first}`);
  return tokens.map((token) => atob(token));
}

/** The two tokens that `token` consists of by the merges so far; undefined if they leave it in more than two. */
function parts(token: string, rank: ReadonlyMap<string, number>): readonly [string, string] | undefined {
  const symbols = [...token];
  while (symbols.length > 2) {
    let best = -1, least = Infinity;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const found = rank.get(symbols[i]! + symbols[i + 1]!) ?? Infinity;
      if (found < least) [best, least] = [i, found];
    }
    if (best < 0) return undefined;
    symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!);
  }
  return symbols as unknown as readonly [string, string];
}

/**
 * The parsed tokenizer.json. A merge joins the two tokens that byte-pair encoding leaves of a token's bytes by the merges
 * of lower rank; tokens that it leaves in more parts could never come out and are left out.
 */
export function o200kJson() {
  const rank = new Map<string, number>();
  const merges: [string, string][] = [];
  const spell = (bytes: string) => Array.from(bytes, (byte) => ALPHABET[byte.charCodeAt(0)]!).join("");
  for (const token of ranked()) {
    if (rank.size === SIZE - ADDED.length) break;
    if (token.length > 1) {
      const pair = parts(token, rank);
      if (pair === undefined) continue;
      merges.push([spell(pair[0]), spell(pair[1])]);
    }
    rank.set(token, rank.size);
  }
  const vocab = Object.fromEntries(Array.from(rank, ([token, id]) => [spell(token), id]));
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: ADDED.map((content, i) => ({
      id: SIZE - ADDED.length + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: i < 7,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: SPLIT_PATTERN }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

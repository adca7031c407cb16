/** Typed bindings of tokenizer.wasm, generated from tokenizer.h by build.ts. Do not edit. */
import type { ModuleExports, Ptr } from "./memory.ts";

/** Where the module lies. */
export const url: URL = new URL("./tokenizer.wasm", import.meta.url);

/** The functions of tokenizer.h. */
export interface TokenizerExports extends ModuleExports {
  /**
   * How many u32 a model of `merges` merges takes.
   */
  tokenizer_model_words(merges: number): number;

  /**
   * Builds `model` [tokenizer_model_words(count)] from byte_ids [256], the token of each byte, and merges [count, 3]:
   * left token, right token, merged token, the most important merge first. Of a pair given twice the last counts.
   */
  tokenizer_init(model: Ptr<"u32">, byteIds: Ptr<"u32">, merges: Ptr<"u32">, count: number): void;

  /**
   * Splits text [length] into pieces: ends [length] gets the byte offset where each ends. Returns how many pieces.
   */
  tokenizer_split(text: Ptr<"u8">, length: number, ends: Ptr<"u32">): number;

  /**
   * How many u32 of scratch tokenizer_encode needs for these pieces.
   */
  tokenizer_scratch_words(ends: Ptr<"u32">, pieces: number): number;

  /**
   * Merges each piece of text into tokens: ids [ends[pieces - 1]]. Returns how many tokens.
   */
  tokenizer_encode(
    model: Ptr<"u32">,
    text: Ptr<"u8">,
    ends: Ptr<"u32">,
    pieces: number,
    scratch: Ptr<"u32">,
    ids: Ptr<"u32">,
  ): number;

  /**
   * How many nodes of the merge tree the last tokenizer_encode compared: what its time is proportional to.
   */
  tokenizer_steps(model: Ptr<"u32">): number;
}

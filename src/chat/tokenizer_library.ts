/** Tokenizers of any other kind (Unigram, WordPiece, other splits or normalizers), by @huggingface/tokenizers. */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { spelledBytes, spelledText } from "./tokenizer_bytes.ts";
import type { Json, TokenizerFile } from "./tokenizer_json.ts";
import type { TokenizerModel } from "./tokenizer_model.ts";

const utf8 = new TextEncoder();

export class LibraryTokenizer implements TokenizerModel {
  readonly byteLevel: boolean;
  readonly #tokens: readonly (string | undefined)[];
  readonly #ordinary: Library; // knows no added tokens
  readonly #special: Library;

  /** Throws TypeError if the library cannot use the file. */
  constructor(file: TokenizerFile) {
    this.#tokens = file.tokens;
    this.byteLevel = (file.json.decoder as Json | null)?.type === "ByteLevel";
    try {
      this.#special = library(file.json, file.json.model);
      this.#ordinary = library({ ...file.json, added_tokens: [] }, withoutSpecial(file));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new TypeError(`Cannot load tokenizer.json as the library cannot use it: ${reason}`, { cause: error });
    }
  }

  encode(text: string, special: boolean): Uint32Array {
    if (text === "") return new Uint32Array(0);
    const encoder = special ? this.#special : this.#ordinary;
    return Uint32Array.from(encoder.encode(text, { add_special_tokens: false }).ids);
  }

  decode(ids: readonly number[]): string {
    if (this.byteLevel) return spelledText(ids.map((id) => this.#tokens[id] ?? ""));
    return ids.length === 0 ? "" : this.#special.decode([...ids], { clean_up_tokenization_spaces: false });
  }

  tokenBytes(id: number): Uint8Array {
    const token = this.#tokens[id] ?? "";
    if (this.byteLevel) return spelledBytes(token);
    const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
    return byte !== undefined ? Uint8Array.of(parseInt(byte, 16)) : utf8.encode(token.replaceAll("▁", " "));
  }
}

// Tokens that are added around a text are the caller's business: no post-processor.
function library(json: Json, model: Json): Library {
  return new Library({
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    decoder: null,
    ...json,
    model,
    post_processor: null,
  }, {});
}

/** The model with its special tokens spelled as no text can be: with a lone surrogate. */
function withoutSpecial({ json, addedTokens }: TokenizerFile): Json {
  const special = new Set(addedTokens.filter((token) => token.special).map((token) => token.content));
  const spell = (token: string) => special.has(token) ? `\ud800${token}` : token;
  const { vocab, unk_token } = json.model;
  const renamed = Array.isArray(vocab)
    ? vocab.map(([token, score]) => [spell(token), score])
    : Object.fromEntries(Object.entries(vocab as Json).map(([token, id]) => [spell(token), id]));
  return { ...json.model, vocab: renamed, ...(typeof unk_token === "string" && { unk_token: spell(unk_token) }) };
}

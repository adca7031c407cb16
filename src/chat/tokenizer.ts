/** The tokenizer: text to token ids and back, as the checkpoint's tokenizer.json says. */
import { ByteLevelBpe, isByteLevelBpe } from "./tokenizer_bpe.ts";
import { readTokenizerJson, type TokenizerFile } from "./tokenizer_json.ts";
import { LibraryTokenizer } from "./tokenizer_library.ts";
import type { TokenizerModel } from "./tokenizer_model.ts";

export interface EncodeOptions {
  /** Added tokens in the text become their ids. Only for text that no user wrote: by default they are ordinary text. */
  readonly special?: boolean;
}

export interface DecodeOptions {
  /** Special tokens give no text. */
  readonly skipSpecial?: boolean;
}

/**
 * Encodes in WASM what is byte-level BPE with the split of spec e.1, anything else by @huggingface/tokenizers, with the
 * results of the official Rust library. A lone surrogate in a text counts as U+FFFD.
 */
export class Tokenizer {
  /** The tokens that were added to the model's own. */
  readonly addedTokens: readonly { readonly id: number; readonly content: string; readonly special: boolean }[];
  /** The highest id + 1. */
  readonly vocabSize: number;
  /** Whether `decode` is the UTF-8 of the `tokenBytes` one after the other. */
  readonly byteLevel: boolean;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #tokens: readonly (string | undefined)[];
  readonly #model: TokenizerModel;
  readonly #special: ReadonlySet<number>;

  private constructor(file: TokenizerFile, model: TokenizerModel) {
    this.addedTokens = file.addedTokens.map(({ id, content, special }) => ({ id, content, special }));
    this.vocabSize = file.tokens.length;
    this.byteLevel = model.byteLevel;
    this.#ids = file.ids;
    this.#tokens = file.tokens;
    this.#model = model;
    this.#special = new Set(file.addedTokens.filter((token) => token.special).map((token) => token.id));
  }

  /** Reads a tokenizer.json. Throws SyntaxError, TypeError or RangeError if it is malformed. */
  static async fromFile(path: string | URL): Promise<Tokenizer> {
    const text = await Deno.readTextFile(path);
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      throw new SyntaxError(`Cannot load tokenizer '${path}' as it is not JSON: ${(error as Error).message}`);
    }
    return Tokenizer.fromJson(json);
  }

  /** Takes the parsed text of a tokenizer.json. Throws as `fromFile` does. */
  static async fromJson(json: unknown): Promise<Tokenizer> {
    const file = readTokenizerJson(json);
    return new Tokenizer(file, isByteLevelBpe(file) ? await ByteLevelBpe.load(file) : new LibraryTokenizer(file));
  }

  /** The ids of `text`, with nothing added before or after. */
  encode(text: string, { special = false }: EncodeOptions = {}): Uint32Array {
    return this.#model.encode(text.toWellFormed(), special);
  }

  /** The text of `ids`, with U+FFFD where their bytes are no UTF-8. Unknown ids give no text. */
  decode(ids: ArrayLike<number>, { skipSpecial = false }: DecodeOptions = {}): string {
    const known = Array.from(ids).filter((id) => this.#tokens[id] !== undefined);
    return this.#model.decode(skipSpecial ? known.filter((id) => !this.#special.has(id)) : known);
  }

  /** The id of a token by its content as tokenizer.json spells it, added or not. */
  idOf(token: string): number | undefined {
    return this.#ids.get(token);
  }

  /** The bytes that a token stands for; none for an unknown id. */
  tokenBytes(id: number): Uint8Array {
    return this.#model.tokenBytes(id);
  }

  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }
}

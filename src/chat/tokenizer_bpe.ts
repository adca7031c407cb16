/** Byte-level BPE in WASM: the tokenizers of the family (spec e.1), and any other that is made the same way. */
import { Memory, type Ptr } from "../../wasm/memory.ts";
import { type TokenizerExports, url } from "../../wasm/tokenizer.ts";
import { ALPHABET, spelledBytes, spelledText } from "./tokenizer_bytes.ts";
import type { AddedToken, Json, TokenizerFile } from "./tokenizer_json.ts";
import type { TokenizerModel } from "./tokenizer_model.ts";

/** The only split that tokenizer_split() knows. */
export const SPLIT_PATTERN =
  "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" +
  "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";

const PADDING = 16; // zero bytes that must follow a text
const utf8 = new TextEncoder();

/** Whether `ByteLevelBpe` gives what the official tokenizer gives for this file. */
export function isByteLevelBpe({ json, ids, addedTokens }: TokenizerFile): boolean {
  const { model } = json;
  const variants = ["dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"];
  return model.type === "BPE" && !variants.some((field) => model[field]) &&
    json.normalizer == null && isKnownSplit(json.pre_tokenizer as Json | null) &&
    (json.decoder as Json | null)?.type === "ByteLevel" &&
    ALPHABET.every((char) => ids.has(char)) && !addedTokens.some((token) => token.contextual);
}

function isKnownSplit(preTokenizer: Json | null | undefined): boolean {
  const steps = preTokenizer?.type === "Sequence" ? preTokenizer.pretokenizers : undefined;
  if (!Array.isArray(steps) || steps.length !== 2) return false;
  const [split, bytes] = steps as [Json, Json];
  return split?.type === "Split" && (split.pattern as Json | null)?.Regex === SPLIT_PATTERN &&
    split.behavior === "Isolated" && !split.invert &&
    bytes?.type === "ByteLevel" && !bytes.add_prefix_space && bytes.use_regex === false;
}

export class ByteLevelBpe implements TokenizerModel {
  readonly byteLevel = true;
  readonly #tokens: readonly (string | undefined)[];
  readonly #added: AddedTokens;
  readonly #memory: Memory<TokenizerExports>;
  readonly #model: Ptr<"u32">;

  private constructor(file: TokenizerFile, memory: Memory<TokenizerExports>, model: Ptr<"u32">) {
    this.#tokens = file.tokens;
    this.#added = new AddedTokens(file.addedTokens);
    this.#memory = memory;
    this.#model = model;
  }

  static async load(file: TokenizerFile): Promise<ByteLevelBpe> {
    const memory = await Memory.load<TokenizerExports>(url);
    const { kernels } = memory;
    const merges = ordinaryMerges(file);
    const model = memory.alloc("u32", kernels.tokenizer_model_words(merges.length / 3));
    const mark = memory.mark();
    const byteIds = memory.copy("u32", ALPHABET.map((char) => file.ids.get(char)!));
    kernels.tokenizer_init(model, byteIds, memory.copy("u32", merges), merges.length / 3);
    memory.release(mark);
    return new ByteLevelBpe(file, memory, model);
  }

  encode(text: string, special: boolean): Uint32Array {
    if (!special) return this.#encodeText(text);
    const parts = this.#added.sections(text).map((part) =>
      typeof part === "number" ? Uint32Array.of(part) : this.#encodeText(part)
    );
    const ids = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      ids.set(part, at);
      at += part.length;
    }
    return ids;
  }

  decode(ids: readonly number[]): string {
    return spelledText(ids.map((id) => this.#tokens[id] ?? ""));
  }

  tokenBytes(id: number): Uint8Array {
    return spelledBytes(this.#tokens[id] ?? "");
  }

  #encodeText(text: string): Uint32Array {
    const mark = this.#memory.mark();
    try {
      return this.#encodeBytes(utf8.encode(text));
    } finally {
      this.#memory.release(mark);
    }
  }

  #encodeBytes(bytes: Uint8Array): Uint32Array {
    const memory = this.#memory;
    const { kernels } = memory;
    const text = memory.alloc("u8", bytes.length + PADDING);
    memory.view("u8", text, bytes.length).set(bytes);
    const ends = memory.alloc("u32", bytes.length);
    const pieces = kernels.tokenizer_split(text, bytes.length, ends);
    const scratch = memory.alloc("u32", kernels.tokenizer_scratch_words(ends, pieces));
    const ids = memory.alloc("u32", bytes.length);
    const count = kernels.tokenizer_encode(this.#model, text, ends, pieces, scratch, ids);
    return memory.view("u32", ids, count).slice();
  }
}

/** The merges without those that would make a special token out of ordinary text. */
function ordinaryMerges({ merges, addedTokens }: TokenizerFile): Uint32Array {
  const special = new Set(addedTokens.filter((token) => token.special).map((token) => token.id));
  return merges.filter((_, i) => !special.has(merges[i - i % 3 + 2]!));
}

/** Finds the added tokens in a text: the leftmost first, of those that start there the longest. */
class AddedTokens {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #passes: readonly RegExp[];

  constructor(tokens: readonly AddedToken[]) {
    this.#ids = new Map(tokens.map((token) => [token.content, token.id]));
    const passes = [tokens.filter((token) => !token.normalized), tokens.filter((token) => token.normalized)];
    this.#passes = passes.filter((pass) => pass.length > 0).map((pass) => {
      const longestFirst = pass.map((token) => token.content).sort((a, b) => b.length - a.length);
      return new RegExp(`(${longestFirst.map((content) => RegExp.escape(content)).join("|")})`);
    });
  }

  /** The ids of added tokens and the texts between them, in order. */
  sections(text: string): (string | number)[] {
    let sections: (string | number)[] = [text];
    for (const pass of this.#passes) {
      sections = sections.flatMap((section) => typeof section === "number" ? section : this.#split(section, pass));
    }
    return sections;
  }

  // String.split() puts what its group captured, the added tokens, at the odd places.
  #split(text: string, pass: RegExp): (string | number)[] {
    return text.split(pass).map((part, i) => i % 2 === 1 ? this.#ids.get(part)! : part).filter((part) => part !== "");
  }
}

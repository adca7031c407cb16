/** Turns token ids into text as they arrive, never half a character. */
import type { DecodeOptions, Tokenizer } from "./tokenizer.ts";

/** All texts that it returns, one after the other, are `tokenizer.decode` of all ids. */
export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #skipSpecial: boolean;
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  // Where a token's text depends on its neighbours: the ids not shown yet, and those shown just before.
  #held: number[] = [];
  #context: number[] = [];

  constructor(tokenizer: Tokenizer, { skipSpecial = false }: DecodeOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#skipSpecial = skipSpecial;
  }

  /** The text that became certain with `id`. Bytes that may still become a character are held back. */
  push(id: number): string {
    if (this.#skipSpecial && this.#tokenizer.isSpecial(id)) return "";
    if (this.#tokenizer.byteLevel) return this.#utf8.decode(this.#tokenizer.tokenBytes(id), { stream: true });
    this.#held.push(id);
    const text = this.#heldText();
    if (text.endsWith("\ufffd")) return "";
    this.#context = this.#held;
    this.#held = [];
    return text;
  }

  /** What was held back, at the end of the ids. Afterwards a new text may begin. */
  flush(): string {
    if (this.#tokenizer.byteLevel) return this.#utf8.decode();
    const text = this.#heldText();
    this.#context = [];
    this.#held = [];
    return text;
  }

  #heldText(): string {
    const before = this.#tokenizer.decode(this.#context).length;
    return this.#tokenizer.decode([...this.#context, ...this.#held]).slice(before);
  }
}

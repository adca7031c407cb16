/** What the two implementations of a tokenizer have in common: the WASM one and the library's. */

export interface TokenizerModel {
  /** True if `decode` is the UTF-8 of all `tokenBytes` one after the other, whatever the neighbours. */
  readonly byteLevel: boolean;

  /** The ids of well-formed `text`; added tokens become their ids if `special`, and are text like any other if not. */
  encode(text: string, special: boolean): Uint32Array;

  /** The text of ids that all are in the vocabulary. */
  decode(ids: readonly number[]): string;

  /** The bytes that a token of the vocabulary stands for. */
  tokenBytes(id: number): Uint8Array;
}

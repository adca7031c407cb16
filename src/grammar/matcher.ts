/** Follows one answer through a grammar, token by token. */
import type { State } from "./automaton.ts";
import type { TokenMasks } from "./token_masks.ts";

export class Matcher {
  readonly #masks: TokenMasks;
  readonly #stopTokens: readonly number[];
  readonly #bits: Uint32Array;
  #state: State;
  #filled: State | null = null;
  #count = 0;

  /** `stopTokens` end the answer: they may come where the text may be over, and nowhere else. */
  constructor(masks: TokenMasks, stopTokens: readonly number[]) {
    this.#masks = masks;
    this.#stopTokens = stopTokens.filter((id) => id < masks.vocabulary.size);
    this.#bits = new Uint32Array(Math.ceil(masks.vocabulary.size / 32));
    this.#state = masks.start();
  }

  /** Whether a token may come next. */
  allows(id: number): boolean {
    return this.#stopTokens.includes(id) ? this.#state.accepting : this.#masks.after(this.#state, id) !== null;
  }

  /** Whether these tokens may come next, one after the other. */
  allowsAll(ids: readonly number[]): boolean {
    let state: State | null = this.#state;
    for (const id of ids) state = state && (this.#stopTokens.includes(id) ? null : this.#masks.after(state, id));
    return state !== null;
  }

  /** Which of these tokens may come next, a bit each. */
  among(ids: Uint32Array): Uint32Array {
    const bits = new Uint32Array(Math.ceil(ids.length / 32));
    ids.forEach((id, i) => {
      if (this.allows(id)) bits[i >>> 5]! |= 1 << (i & 31);
    });
    return bits;
  }

  /** All tokens that may come next, a bit each, [⌈V / 32⌉]; valid until the next token. */
  get allowed(): { readonly bits: Uint32Array; readonly count: number } {
    if (this.#filled !== this.#state) {
      this.#masks.fill(this.#state, this.#bits);
      for (const id of this.#stopTokens) {
        const bit = 1 << (id & 31);
        if (this.#state.accepting) this.#bits[id >>> 5]! |= bit;
        else this.#bits[id >>> 5]! &= ~bit;
      }
      this.#count = countBits(this.#bits);
      this.#filled = this.#state;
    }
    return { bits: this.#bits, count: this.#count };
  }

  /**
   * Takes the next token. Behind one that ends the answer nothing is followed any more.
   * @throws RangeError if it may not come next.
   */
  accept(id: number): void {
    if (this.#stopTokens.includes(id)) return;
    this.#masks.rest();
    const state = this.#masks.after(this.#state, id);
    if (state === null) {
      throw new RangeError(`Cannot go on with token ${id}: the answer's grammar does not allow it here`);
    }
    this.#state = state;
  }
}

/** How many bits are set. */
export function countBits(words: Uint32Array): number {
  let count = 0;
  for (let word of words) {
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return count;
}

/** The grammars that requests bring, each worked out once for as long as it is asked for. */
import { Matcher } from "../grammar/matcher.ts";
import { TokenMasks } from "../grammar/token_masks.ts";
import { Vocabulary } from "../grammar/vocabulary.ts";
import type { Grammar, TokenBytes } from "../pipeline/requests.ts";

/** Bytes that all grammars may take before those asked for longest ago go. Most take 1 or 2 MB, one of thousands of choices up to some 70. */
const MOST_BYTES = 64 << 20;

export class Grammars {
  readonly #vocabulary: Vocabulary;
  readonly #most: number;
  readonly #masks = new Map<string, TokenMasks>(); // the one asked for last at the end

  /** `vocabulary` is the model's, which may have more tokens than the tokenizer. */
  constructor(tokens: TokenBytes, vocabulary: number, mostBytes = MOST_BYTES) {
    this.#vocabulary = new Vocabulary(tokens, vocabulary);
    this.#most = mostBytes;
  }

  /** About what all that are kept take by now. */
  get bytes(): number {
    return this.#masks.values().reduce((sum, masks) => sum + masks.bytes, 0);
  }

  /** Follows a new answer. */
  matcher(grammar: Grammar, stopTokens: readonly number[]): Matcher {
    const masks = this.#masks.get(grammar.key) ?? new TokenMasks(grammar, this.#vocabulary);
    this.#masks.delete(grammar.key);
    this.#masks.set(grammar.key, masks);
    return new Matcher(masks, stopTokens);
  }

  /** Gives up those asked for longest ago, as long as all together take too much by now; the last one stays. */
  giveUp(): void {
    let bytes = this.bytes;
    for (const [key, masks] of this.#masks) {
      if (bytes <= this.#most || this.#masks.size === 1) return;
      this.#masks.delete(key);
      bytes -= masks.bytes;
    }
  }
}

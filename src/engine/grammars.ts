/** The grammars that requests bring, each worked out once for as long as it is asked for. */
import { Matcher } from "../grammar/matcher.ts";
import { TokenMasks } from "../grammar/token_masks.ts";
import { Vocabulary } from "../grammar/vocabulary.ts";
import type { Grammar, TokenBytes } from "../pipeline/messages.ts";

/** Grammars that are kept; each takes up to some 50 MB. */
const MOST = 16;

export class Grammars {
  readonly #vocabulary: Vocabulary;
  readonly #masks = new Map<string, TokenMasks>(); // the one asked for last at the end

  /** `vocabulary` is the model's, which may have more tokens than the tokenizer. */
  constructor(tokens: TokenBytes, vocabulary: number) {
    this.#vocabulary = new Vocabulary(tokens, vocabulary);
  }

  /** Follows a new answer. */
  matcher(grammar: Grammar, stopTokens: readonly number[]): Matcher {
    const masks = this.#masks.get(grammar.key) ?? new TokenMasks(grammar, this.#vocabulary);
    this.#masks.delete(grammar.key);
    this.#masks.set(grammar.key, masks);
    if (this.#masks.size > MOST) this.#masks.delete(this.#masks.keys().next().value!);
    return new Matcher(masks, stopTokens);
  }
}

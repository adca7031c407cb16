/** What a sequence adds to the logits: penalties of the tokens that occurred, and biases. */
import type { SamplingParams } from "../pipeline/requests.ts";

/** What changes one token's logit. */
export interface Term {
  /** Times in the answer; 0 if only in the prompt, -1 if the token never occurred. */
  count: number;
  readonly bias: number;
}

/** The terms of some tokens out of a row. */
export interface TermsAmong {
  /** Pairs of an index into the tokens and its term. */
  readonly found: readonly (readonly [index: number, term: Term])[];
  /** No other token of the row has a term. */
  readonly complete: boolean;
  /** A term of another token may raise its logit. */
  readonly othersMayRise: boolean;
}

const NONE: TermsAmong = { found: [], complete: true, othersMayRise: false };

/** The terms of one sequence, growing with it. Neutral penalties record nothing. */
export class LogitTerms {
  readonly repetition: number;
  readonly presence: number;
  readonly frequency: number;
  readonly #terms = new Map<number, Term>();
  readonly #vocabulary: number;
  readonly #raising: number;

  constructor(params: SamplingParams, prompt: Uint32Array, vocabulary: number) {
    this.repetition = params.repetitionPenalty;
    this.presence = params.presencePenalty;
    this.frequency = params.frequencyPenalty;
    this.#vocabulary = vocabulary;
    for (const [id, bias] of params.logitBias) {
      this.#terms.set(id, { count: -1, bias: bias + (this.#terms.get(id)?.bias ?? 0) });
    }
    this.#raising = [...this.#terms.values()].filter(({ bias }) => bias > 0).length;
    if (this.repetition !== 1) { for (const id of prompt) this.#occur(id, 0); }
  }

  #occur(id: number, times: number): void {
    if (id >= this.#vocabulary) {
      throw new RangeError(`Cannot sample after token ${id}: the vocabulary ends at ${this.#vocabulary - 1}`);
    }
    const term = this.#terms.get(id);
    if (term === undefined) this.#terms.set(id, { count: times, bias: 0 });
    else term.count = Math.max(term.count, 0) + times;
  }

  /** Whether any logit is changed, now or later. */
  get active(): boolean {
    return this.#terms.size > 0 || this.repetition !== 1 || this.presence !== 0 || this.frequency !== 0;
  }

  /** Notes a token of the answer. Throws RangeError if it is not in the vocabulary. */
  accept(id: number): void {
    if (this.repetition !== 1 || this.presence !== 0 || this.frequency !== 0) this.#occur(id, 1);
  }

  /** Every token with a term. */
  all(): ReadonlyMap<number, Term> {
    return this.#terms;
  }

  /** The terms of the tokens `ids` and what is to be known of the others'. */
  among(ids: Uint32Array): TermsAmong {
    if (this.#terms.size === 0) return NONE;
    const found: [number, Term][] = [];
    let raising = 0;
    ids.forEach((id, index) => {
      const term = this.#terms.get(id);
      if (term === undefined) return;
      found.push([index, term]);
      if (term.bias > 0) raising++;
    });
    const complete = found.length === this.#terms.size;
    const penaltiesRaise = this.repetition < 1 || this.presence < 0 || this.frequency < 0;
    return { found, complete, othersMayRise: raising < this.#raising || (!complete && penaltiesRaise) };
  }
}

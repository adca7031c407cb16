/** Chooses each next token from its logits, by the candidates where they suffice and by the whole row where not. */
import { GrammarError } from "../grammar/grammar_error.ts";
import { countBits, type Matcher } from "../grammar/matcher.ts";
import type { Draw } from "../pipeline/steps.ts";
import type { GeneratedToken, Grammar, SamplingParams, TokenBytes } from "../pipeline/requests.ts";
import { drawFromCandidates, type RowCandidates } from "./candidate_draw.ts";
import { Grammars } from "./grammars.ts";
import { LogitTerms } from "./logit_terms.ts";
import { type DrawRule, RowMemory } from "./row_memory.ts";
import { checkSampling } from "./sampling_params.ts";

/** Where a row's logits come from: candidates first (there may be none), the whole row only if they do not suffice. */
export interface RowSource {
  readonly candidates: RowCandidates;
  /** The whole logits, [V]; null if they are gone. */
  readonly row: (() => Promise<Float32Array>) | null;
}

export interface WholeRowSource extends RowSource {
  readonly row: () => Promise<Float32Array>;
}

/** Samples for all sequences of an engine; owns the linear memory that they share. */
export class Sampler {
  readonly #memory: RowMemory;
  readonly #grammars: Grammars | null;

  private constructor(memory: RowMemory, grammars: Grammars | null) {
    this.#memory = memory;
    this.#grammars = grammars;
  }

  /** A sampler for rows of `vocabulary` logits; grammars take the tokens' bytes. */
  static async create(vocabulary: number, tokens?: TokenBytes): Promise<Sampler> {
    return new Sampler(await RowMemory.create(vocabulary), tokens ? new Grammars(tokens, vocabulary) : null);
  }

  /**
   * Begins a sequence, held to a grammar if there is one, in which `stopTokens` end the text.
   * Throws RangeError if a parameter is out of range or a prompt token outside the vocabulary.
   */
  sequence(
    params: SamplingParams,
    prompt: Uint32Array,
    grammar: Grammar | null = null,
    stopTokens: readonly number[] = [],
  ): SequenceSampler {
    checkSampling(params, this.#memory.vocabulary);
    this.#grammars?.giveUp(); // they have grown with the answers before
    if (grammar && !this.#grammars) {
      throw new RangeError("Cannot hold an answer to a grammar without the tokens' bytes");
    }
    return new SequenceSampler(this.#memory, params, prompt, grammar && this.#grammars!.matcher(grammar, stopTokens));
  }
}

/**
 * Samples the tokens of one answer, in this order: penalties, biases, the grammar, which drops all tokens that may not come next,
 * temperature, top-k, top-p of what top-k keeps, min-p, then a draw by inversion with the random number of the seed and the token's position in the answer. Nothing else enters,
 * so equal seeds give equal answers whatever else runs, and whether or not rows are read.
 */
export class SequenceSampler {
  readonly #memory: RowMemory;
  readonly #params: SamplingParams;
  readonly #temperature: number; // as f32, and 1 where greedy, which is top-k 1
  readonly #topK: number;
  readonly #terms: LogitTerms;
  readonly #matcher: Matcher | null;
  #position = 0;

  /** Called by `Sampler.sequence`, which checks the parameters. */
  constructor(memory: RowMemory, params: SamplingParams, prompt: Uint32Array, matcher: Matcher | null) {
    const temperature = Math.fround(params.temperature);
    const topK = temperature === 0 ? 1 : params.topK || memory.vocabulary;
    this.#memory = memory;
    this.#params = params;
    this.#temperature = temperature || 1;
    this.#topK = Math.min(topK, memory.vocabulary);
    this.#terms = new LogitTerms(params, prompt, memory.vocabulary);
    this.#matcher = matcher;
  }

  /** Whether the answer may go on with these tokens. */
  mayFollow(ids: readonly number[]): boolean {
    return this.#matcher?.allowsAll(ids) ?? true;
  }

  /** Notes a token of the answer that was not sampled. Throws RangeError if it is outside the vocabulary, or may not follow. */
  accept(id: number): void {
    this.#terms.accept(id);
    this.#matcher?.accept(id);
    this.#position++;
  }

  /**
   * Samples the next token and notes it, at once unless the whole row must be read. `logprobs` is how many alternatives to report with it, null for no report; log-probabilities are the
   * model's own, before penalties, biases and temperature.
   * Null, and nothing noted, if the whole row must be read and is gone.
   * Throws RangeError if the row has no distribution: a NaN or an infinite log-sum-exp; GrammarError if the grammar leaves nothing to
   * go on with, or too many ways.
   */
  sample(source: WholeRowSource, logprobs: number | null): GeneratedToken | Promise<GeneratedToken>;
  sample(source: RowSource, logprobs: number | null): GeneratedToken | Promise<GeneratedToken> | null;
  sample(source: RowSource, logprobs: number | null): GeneratedToken | Promise<GeneratedToken> | null {
    const { candidates } = source;
    if (!Number.isFinite(candidates.logSumExp)) {
      throw new RangeError(
        `Cannot sample from this row as its log-sum-exp is ${candidates.logSumExp}: the weights or the device are faulty`,
      );
    }
    const u = this.#memory.uniform(this.#params.seed, this.#position);
    const id = (logprobs ?? 0) > candidates.ids.length
      ? null
      : this.#fromCandidates(candidates, u) ?? (logprobs === null ? this.#onlyOne() : null);
    if (id !== null) return this.#note(id, logprobs, candidates, null);
    if (source.row === null) return null;
    return source.row().then((row) => this.#note(this.#fromRow(row, u), logprobs, candidates, row));
  }

  /** How `count` tokens are drawn that come behind the next `behind`; none where it depends on the tokens between. */
  draws(count: number, behind = 0): readonly Draw[] {
    if (this.#terms.active || this.#matcher) return [];
    const { topP, minP, seed } = this.#params;
    return Array.from({ length: count }, (_, i) => ({
      temperature: this.#temperature,
      topK: this.#topK,
      topP,
      minP,
      u: this.#memory.uniform(seed, this.#position + behind + i),
    }));
  }

  #note(id: number, logprobs: number | null, candidates: RowCandidates, row: Float32Array | null): GeneratedToken {
    this.accept(id);
    return logprobs === null ? { id } : report(id, logprobs, candidates, row);
  }

  #rule(max: number, u: number): DrawRule {
    const { topP, minP } = this.#params;
    return { topK: this.#topK, topP, floor: Math.fround(max + this.#temperature * Math.log(minP)), u };
  }

  #fromCandidates(candidates: RowCandidates, u: number): number | null {
    const { found, complete, othersMayRise } = this.#terms.among(candidates.ids);
    if (candidates.ids.length === 0 || othersMayRise) return null;
    const mask = this.#matcher?.among(candidates.ids) ?? null;
    const left = mask ? countBits(mask) : candidates.ids.length;
    if (left === 0) return null;
    const adjusted = this.#memory.load(candidates.logits, found, this.#terms, this.#temperature, mask);
    const rule = this.#rule(adjusted.max, u);
    const tokens = this.#memory.vocabulary - candidates.ids.length;
    const others = { tokens, lowered: !complete || mask !== null, temperature: this.#temperature };
    const id = drawFromCandidates(candidates, adjusted, others, rule);
    if (id !== null || !this.#matcher) return id;
    // It may help to know how few of the others may come next.
    return drawFromCandidates(candidates, adjusted, { ...others, tokens: this.#matcher.allowed.count - left }, rule);
  }

  /** The token that comes whatever the logits, if the grammar leaves only one. */
  #onlyOne(): number | null {
    if (this.#matcher?.allowed.count !== 1) return null;
    const { bits } = this.#matcher.allowed;
    const word = bits.findIndex((one) => one !== 0);
    return word * 32 + 31 - Math.clz32(bits[word]!);
  }

  #fromRow(row: Float32Array, u: number): number {
    const { vocabulary } = this.#memory;
    if (row.length !== vocabulary) {
      throw new RangeError(`Cannot sample from a row of ${row.length} logits: the vocabulary has ${vocabulary} tokens`);
    }
    const allowed = this.#matcher?.allowed;
    if (allowed?.count === 0) {
      throw new GrammarError("Cannot go on within the answer's grammar: no token of the vocabulary fits it here");
    }
    const mask = allowed?.bits ?? null;
    const { max } = this.#memory.load(row, this.#terms.all(), this.#terms, this.#temperature, mask);
    return this.#memory.draw(this.#rule(max, u));
  }
}

/** `row` is null where the token is one of the candidates and all alternatives are. */
function report(
  id: number,
  alternatives: number,
  candidates: RowCandidates,
  row: Float32Array | null,
): GeneratedToken {
  // log-sum-exp is rounded, so that a certain token's could come out a little above 0.
  const logprob = (logit: number) => Math.min(logit - candidates.logSumExp, 0);
  const { ids, logits } = alternatives <= candidates.ids.length ? candidates : likeliest(row!, alternatives);
  const chosen = row?.[id] ?? logits[ids.indexOf(id)] ?? NaN;
  const top = Array.from(ids.subarray(0, alternatives), (id, i) => [id, logprob(logits[i] ?? NaN)] as const);
  return { id, logprob: logprob(chosen), top };
}

/** The n likeliest tokens of a row, or all if there are fewer. */
function likeliest(row: Float32Array, n: number): { ids: Uint32Array; logits: Float32Array } {
  const order = Uint32Array.from(row.keys()).sort((a, b) => (row[b] ?? NaN) - (row[a] ?? NaN) || a - b);
  const ids = order.slice(0, n);
  return { ids, logits: Float32Array.from(ids, (id) => row[id] ?? NaN) };
}

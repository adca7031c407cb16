/** Chooses each next token from its logits, by the candidates where they suffice and by the whole row where not. */
import type { Draw, GeneratedToken, SamplingParams } from "../pipeline/messages.ts";
import { drawFromCandidates, type RowCandidates } from "./candidate_draw.ts";
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

  private constructor(memory: RowMemory) {
    this.#memory = memory;
  }

  /** A sampler for rows of `vocabulary` logits. */
  static async create(vocabulary: number): Promise<Sampler> {
    return new Sampler(await RowMemory.create(vocabulary));
  }

  /** Begins a sequence. Throws RangeError if a parameter is out of range or a prompt token outside the vocabulary. */
  sequence(params: SamplingParams, prompt: Uint32Array): SequenceSampler {
    checkSampling(params, this.#memory.vocabulary);
    return new SequenceSampler(this.#memory, params, prompt);
  }
}

/**
 * Samples the tokens of one answer, in this order: penalties, biases, temperature, top-k, top-p of what top-k keeps, min-p,
 * then a draw by inversion with the random number of the seed and the token's position in the answer. Nothing else enters,
 * so equal seeds give equal answers whatever else runs, and whether or not rows are read.
 */
export class SequenceSampler {
  readonly #memory: RowMemory;
  readonly #params: SamplingParams;
  readonly #temperature: number; // as f32, and 1 where greedy, which is top-k 1
  readonly #topK: number;
  readonly #terms: LogitTerms;
  #position = 0;

  /** Called by `Sampler.sequence`, which checks the parameters. */
  constructor(memory: RowMemory, params: SamplingParams, prompt: Uint32Array) {
    const temperature = Math.fround(params.temperature);
    const topK = temperature === 0 ? 1 : params.topK || memory.vocabulary;
    this.#memory = memory;
    this.#params = params;
    this.#temperature = temperature || 1;
    this.#topK = Math.min(topK, memory.vocabulary);
    this.#terms = new LogitTerms(params, prompt, memory.vocabulary);
  }

  /** Notes a token of the answer that was not sampled. Throws RangeError if it is outside the vocabulary. */
  accept(id: number): void {
    this.#terms.accept(id);
    this.#position++;
  }

  /**
   * Samples the next token and notes it, at once unless the whole row must be read. `logprobs` is how many alternatives to report with it, null for no report; log-probabilities are the
   * model's own, before penalties, biases and temperature.
   * Null, and nothing noted, if the whole row must be read and is gone.
   * Throws RangeError if the row has no distribution: a NaN or an infinite log-sum-exp.
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
    const id = (logprobs ?? 0) > candidates.ids.length ? null : this.#fromCandidates(candidates, u);
    if (id !== null) return this.#note(id, logprobs, candidates, null);
    if (source.row === null) return null;
    return source.row().then((row) => this.#note(this.#fromRow(row, u), logprobs, candidates, row));
  }

  /** How the next `count` tokens are drawn; none where it depends on the tokens between. */
  draws(count: number): readonly Draw[] {
    if (this.#terms.active) return [];
    const { topP, minP, seed } = this.#params;
    return Array.from({ length: count }, (_, i) => ({
      temperature: this.#temperature,
      topK: this.#topK,
      topP,
      minP,
      u: this.#memory.uniform(seed, this.#position + i),
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
    const adjusted = this.#memory.load(candidates.logits, found, this.#terms, this.#temperature);
    const tokens = this.#memory.vocabulary - candidates.ids.length;
    const others = { tokens, lowered: !complete, temperature: this.#temperature };
    return drawFromCandidates(candidates, adjusted, others, this.#rule(adjusted.max, u));
  }

  #fromRow(row: Float32Array, u: number): number {
    const { vocabulary } = this.#memory;
    if (row.length !== vocabulary) {
      throw new RangeError(`Cannot sample from a row of ${row.length} logits: the vocabulary has ${vocabulary} tokens`);
    }
    const { max } = this.#memory.load(row, this.#terms.all(), this.#terms, this.#temperature);
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

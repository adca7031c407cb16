/** One generation: samples its tokens one by one and knows when it ends. */
import type { Draw } from "../pipeline/steps.ts";
import type { EngineFinish, GeneratedToken, GenerateRequest, GenerateStats } from "../pipeline/requests.ts";
import { checkTokens, checkVocabulary, type EngineLimits } from "./limits.ts";
import type { Sampler, SequenceSampler } from "./sampler.ts";
import { Sequence } from "./sequence.ts";
import type { StepOutputs } from "./step_outputs.ts";
import { Thought } from "./thought.ts";

/** Why a task ended, null if it goes on. */
export type Advanced = EngineFinish | null | "unknown";

export class GenerateTask {
  readonly sequence: Sequence;
  readonly #request: GenerateRequest;
  readonly #context: number;
  readonly #sampler: SequenceSampler;
  readonly #thought: Thought | null;
  readonly #report: (token: GeneratedToken) => void;
  readonly #submitted = performance.now();
  #firstToken: number | null = null; // when it was sampled
  #lastToken = this.#submitted;

  /** @throws RangeError if the request does not fit the engine. */
  constructor(
    id: number,
    request: GenerateRequest,
    limits: EngineLimits,
    sampler: Sampler,
    report: (token: GeneratedToken) => void,
  ) {
    const { prompt, maxTokens, sampling, thinking, grammar = null, stopTokens } = request;
    checkTokens(prompt, limits.context - 1, limits);
    if (!(maxTokens >= 1)) throw new RangeError(`Cannot generate ${maxTokens} tokens: maxTokens must be at least 1`);
    if (thinking) checkVocabulary(thinking.close, limits);
    this.sequence = new Sequence(id, prompt, undefined, request.boundaries);
    this.#request = request;
    this.#context = limits.context;
    this.#sampler = sampler.sequence(sampling, prompt, grammar, stopTokens);
    this.#thought = thinking && new Thought(thinking);
    this.#report = report;
  }

  get stats(): GenerateStats {
    const firstToken = this.#firstToken ?? performance.now();
    return {
      promptTokens: this.#request.prompt.length,
      cachedTokens: this.sequence.cached,
      generatedTokens: this.#generated,
      prefillMillis: firstToken - this.#submitted,
      decodeMillis: Math.max(0, this.#lastToken - firstToken),
    };
  }

  /** Called before the first step: a thought without any budget is closed before the first token. */
  begin(): EngineFinish | null {
    return this.#force();
  }

  /**
   * How the next tokens are drawn behind some that are being computed, `most` of them at most; not the last ones of the answer or of a
   * thought, behind which nothing follows from them.
   */
  draws(most: number, behind: number): readonly Draw[] {
    const { maxTokens } = this.#request;
    const thought = this.#thought?.left(this.#generated) ?? Infinity;
    const left = Math.min(maxTokens - this.#generated, this.#context - this.sequence.length, thought) - 1 - behind;
    return this.#sampler.draws(Math.max(0, Math.min(most, left)), behind);
  }

  /**
   * Samples the next token from output `row` of the step that computed all that came before it; at once if it can.
   * "unknown" if it cannot, as the logits are gone.
   */
  advance(outputs: StepOutputs, row: number): Advanced | Promise<Advanced> {
    const token = this.#sampler.sample(outputs.source(row), this.#request.logprobs);
    if (token === null) return "unknown";
    return token instanceof Promise ? token.then((token) => this.#take(token)) : this.#take(token);
  }

  #take(token: GeneratedToken): EngineFinish | null {
    this.#firstToken ??= performance.now();
    this.#append(token);
    if (this.#request.stopTokens.includes(token.id)) return "stop";
    return this.#full ? "length" : this.#force();
  }

  get #generated(): number {
    return this.sequence.length - this.#request.prompt.length;
  }

  get #full(): boolean {
    return this.#generated >= this.#request.maxTokens || this.sequence.length >= this.#context;
  }

  #force(): EngineFinish | null {
    const forced = this.#thought?.forced(this.sequence, this.#generated) ?? [];
    // A thought that ended within a token is seen by the grammar alone.
    if (!this.#sampler.mayFollow(forced)) return this.#full ? "length" : null;
    for (const id of forced) {
      if (this.#full) break;
      this.#sampler.accept(id);
      this.#append({ id });
    }
    return this.#full ? "length" : null;
  }

  #append(token: GeneratedToken): void {
    this.sequence.append(token.id);
    this.#lastToken = performance.now();
    this.#report(token);
  }
}

/** Conversations and raw completions with a model: text in, deltas out. */
import type { EngineInfo, EngineStatus } from "../pipeline/messages.ts";
import type { GenerateRequest, Grammar, ScoreRequest, ScoreRows } from "../pipeline/requests.ts";
import { answerGrammar, grammarField } from "./answer_grammar.ts";
import { echoPrompt } from "./echo.ts";
import { type Generation, runGeneration, type TokenGenerator } from "./generation.ts";
import type { ChatRequest, CompletionRequest, Delta, GenerationOptions } from "./messages.ts";
import { checkOptions, fillSampling } from "./options.ts";
import { OutputParser, THOUGHT_END } from "./output_parser.ts";
import { encodePrompt, type Prompt } from "./prompt.ts";
import { RequestError } from "./request_error.ts";
import type { ChatTemplate } from "./template.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface ChatParts {
  /** The model's name. */
  readonly model: string;
  /** Null where the checkpoint has none: only token ids can be scored then. */
  readonly tokenizer: Tokenizer | null;
  /** Null where the checkpoint has none: only raw completions work then. */
  readonly template: ChatTemplate | null;
  readonly engine: TokenGenerator;
  /** Every token that ends an answer, of config.json and generation_config.json. */
  readonly stopTokens: readonly number[];
}

/** Tokens of a prompt from which on it may be worth it to keep its beginnings. */
const LONG_PROMPT = 256;

/** Owns its engine. Every request that cannot be done as it is asked is refused at once, by a RequestError. */
export class Chat implements AsyncDisposable {
  readonly model: string;
  readonly #parts: ChatParts;

  constructor(parts: ChatParts) {
    this.model = parts.model;
    this.#parts = parts;
  }

  get info(): EngineInfo {
    return this.#parts.engine.info;
  }

  get tokenizer(): Tokenizer | null {
    return this.#parts.tokenizer;
  }

  /** Why no request can be answered any more, or null. */
  get failure(): Error | null {
    return this.#parts.engine.failure;
  }

  /** What the engine is doing. */
  status(): Promise<EngineStatus> {
    return this.#parts.engine.status();
  }

  /**
   * The answer to a conversation. Ending the iteration early, or the signal, ends the generation.
   *
   * @throws {RequestError} before anything is generated; in the iteration, where it turns out that the answer cannot be held to its form.
   */
  stream(request: ChatRequest, signal?: AbortSignal): AsyncGenerator<Delta> {
    const { tokens, thinking } = this.#encode(request);
    const { thinkBudget } = request;
    const parser = new OutputParser({ thinking, tools: (request.tools?.length ?? 0) > 0 });
    // A thought that the prompt has not opened may never come, so there is nothing to close.
    const budget = thinking && thinkBudget !== undefined ? this.#thinkingBudget(thinkBudget) : null;
    const grammar = this.#grammar(request, thinking);
    return this.#run({
      request: {
        ...this.#request(tokens, request, "messages"),
        thinking: budget,
        ...(grammar && { grammar }),
        boundaries: this.#boundaries(request, tokens),
      },
      parser,
      stop: request.stop ?? [],
      oneCall: request.parallelCalls === false,
      ...(grammar && { blame: grammarField(request.responseFormat) }),
      signal,
    });
  }

  /**
   * The continuation of a text, all of it content.
   *
   * @throws {RequestError} before anything is generated.
   */
  complete(request: CompletionRequest, signal?: AbortSignal): AsyncGenerator<Delta> {
    const generation: Generation = {
      request: this.#request(this.completionTokens(request.prompt), request, "prompt"),
      parser: null,
      stop: request.stop ?? [],
      signal,
    };
    return request.echo ? this.#echo(generation) : this.#run(generation);
  }

  /** The prompt of a conversation. */
  promptTokens(request: ChatRequest): Uint32Array {
    return this.#encode(request).tokens;
  }

  /**
   * The prompt of a raw completion.
   *
   * @throws {RequestError} if it is empty or has ids that the vocabulary lacks.
   */
  completionTokens(prompt: CompletionRequest["prompt"]): Uint32Array {
    const { vocabulary } = this.info;
    const known = (id: number) => Number.isInteger(id) && id >= 0 && id < vocabulary;
    const stray = typeof prompt === "string" ? undefined : prompt.find((id) => !known(id));
    if (stray !== undefined) {
      throw new RequestError(`Cannot read token ${stray}: the vocabulary has ${vocabulary}, counted from 0`, "prompt");
    }
    const tokens = typeof prompt === "string" ? this.#tokenizer("prompt").encode(prompt) : Uint32Array.from(prompt);
    if (tokens.length > 0) return tokens;
    throw new RequestError("Cannot continue an empty prompt: write at least a word", "prompt");
  }

  /** The log-probability of each token after those before it, and every position's logits where they are asked for. */
  score(
    tokens: Uint32Array,
    { logits = false, chunks = [], ...options }: Partial<Omit<ScoreRequest, "tokens">> = {},
    signal?: AbortSignal,
  ): AsyncIterable<ScoreRows> {
    return this.#parts.engine.score({ tokens, logits, chunks, ...options }, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.engine[Symbol.asyncDispose]();
  }

  #encode(request: ChatRequest): Prompt {
    const { template, model } = this.#parts;
    if (template) return encodePrompt(template, this.#tokenizer("messages"), request);
    throw new RequestError(`Cannot chat with ${model}, which has no chat template: use a raw completion`, "messages");
  }

  /** Where the last user's message begins: whoever asks anew or otherwise has the same tokens up to there. */
  #boundaries({ messages, ...rest }: ChatRequest, tokens: Uint32Array): number[] {
    const before = messages.slice(0, messages.findLastIndex(({ role }) => role === "user"));
    if (before.length === 0 || tokens.length < LONG_PROMPT) return [];
    const beginning = this.#encode({ messages: before, ...rest }).tokens;
    const shared = beginning.findIndex((token, i) => token !== tokens[i]);
    return [shared < 0 ? beginning.length : shared];
  }

  #tokenizer(field: "messages" | "prompt"): Tokenizer {
    const { tokenizer, model } = this.#parts;
    if (tokenizer) return tokenizer;
    throw new RequestError(`Cannot read text with ${model}, which has no tokenizer.json`, field);
  }

  #thinkingBudget(budget: number): NonNullable<GenerateRequest["thinking"]> {
    const tokenizer = this.#tokenizer("messages");
    return {
      budget,
      end: tokenizer.encode(THOUGHT_END, { special: true }),
      close: tokenizer.encode(`\n${THOUGHT_END}\n\n`, { special: true }),
    };
  }

  #grammar(request: ChatRequest, thinking: boolean): Grammar | null {
    const grammar = answerGrammar(request, thinking);
    if (!grammar || this.#tokenizer("messages").byteLevel) return grammar;
    throw new RequestError(
      `Cannot hold answers of ${this.model} to a format: its tokens are no bytes`,
      "responseFormat",
    );
  }

  #request(prompt: Uint32Array, options: GenerationOptions, field: "messages" | "prompt"): GenerateRequest {
    checkOptions(options);
    const { context, vocabulary } = this.info;
    const room = context - prompt.length;
    if (room < Math.min(options.maxTokens ?? 1, 1)) {
      const message =
        `Cannot answer a prompt of ${prompt.length} tokens: the context holds ${context}, the answer included`;
      throw new RequestError(message, field);
    }
    return {
      prompt,
      maxTokens: Math.min(options.maxTokens ?? room, room),
      stopTokens: this.#parts.stopTokens,
      sampling: fillSampling(options.sampling ?? {}, vocabulary),
      logprobs: options.logprobs ?? null,
      thinking: null,
    };
  }

  /** The prompt, read for its log-probabilities if they are wanted, then its continuation unless none is. */
  async *#echo(generation: Generation): AsyncGenerator<Delta> {
    const { request: { prompt, logprobs, maxTokens }, signal } = generation;
    const started = performance.now();
    const scored = logprobs === null ? null : this.score(prompt, { top: logprobs }, signal);
    const echo = await echoPrompt(this.#tokenizer("prompt"), prompt, scored);
    yield echo;
    if (maxTokens > 0) return yield* this.#run(generation, echo.text.length);
    const usage = { promptTokens: prompt.length, cachedTokens: 0, completionTokens: 0, reasoningTokens: 0 };
    const timings = { prefillMillis: performance.now() - started, decodeMillis: 0 };
    yield { type: "finish", reason: "length", usage, timings };
  }

  #run(generation: Generation, before = 0): AsyncGenerator<Delta> {
    return runGeneration(this.#parts.engine, this.#tokenizer("prompt"), generation, before);
  }
}

/** What is asked of an engine and what it answers: texts to go on with, or to score. */

/** How the next token is chosen. Temperature 0 is greedy. Neutral values: 1, 0, 1, 0, 1, 0, 0. */
export interface SamplingParams {
  readonly temperature: number;
  /** Keep the k likeliest; 0 keeps all. */
  readonly topK: number;
  /** Keep the smallest set of likeliest tokens whose mass reaches p. */
  readonly topP: number;
  /** Drop tokens less likely than p times the likeliest. */
  readonly minP: number;
  /** Divides positive and multiplies negative logits of tokens in the prompt or the answer. */
  readonly repetitionPenalty: number;
  /** Subtracted once from the logit of every token of the answer. */
  readonly presencePenalty: number;
  /** Subtracted from a logit for every time its token occurred in the answer. */
  readonly frequencyPenalty: number;
  /** Pairs of token id and what is added to its logit. */
  readonly logitBias: readonly (readonly [id: number, bias: number])[];
  /** Any 53-bit integer; the same seed gives the same text whatever else runs. */
  readonly seed: number;
}

/** Closes a thought: unless `end` was generated within the first `budget` tokens, `close` is forced after them. */
export interface ThinkingBudget {
  readonly budget: number;
  readonly end: Uint32Array;
  readonly close: Uint32Array;
}

/** Some strings of bytes. A rule that calls itself must have read a byte before, so that reading always gets on. */
export type Expression =
  /** One byte in one of the ranges, both ends included. */
  | { readonly type: "byte"; readonly ranges: readonly (readonly [first: number, last: number])[] }
  /** The UTF-8 of a text. */
  | { readonly type: "literal"; readonly text: string }
  | { readonly type: "sequence"; readonly parts: readonly Expression[] }
  /** Any of them; none of an empty list. */
  | { readonly type: "choice"; readonly options: readonly Expression[] }
  /** `most` may be Infinity. */
  | { readonly type: "repeat"; readonly body: Expression; readonly least: number; readonly most: number }
  | { readonly type: "call"; readonly rule: number };

/** The bytes that an answer may have, as plain data: its first rule. */
export interface Grammar {
  /** Equal for equal grammars, so that what was worked out for one serves the next request. */
  readonly key: string;
  readonly rules: readonly Expression[];
}

/** The bytes of all tokens in shared memory. */
export interface TokenBytes {
  readonly bytes: Uint8Array;
  /** [tokens + 1] where each begins; a token that is not text has none. */
  readonly offsets: Uint32Array;
}

export interface GenerateRequest {
  readonly prompt: Uint32Array;
  readonly maxTokens: number;
  /** Tokens that end the answer; they are reported as the last token. */
  readonly stopTokens: readonly number[];
  readonly sampling: SamplingParams;
  /** Log-probabilities to report: null for none, else how many alternatives (0 reports the chosen token's only). */
  readonly logprobs: number | null;
  readonly thinking: ThinkingBudget | null;
  /** What the answer's text must be, its thought included. The tokens that end it come exactly where it may end. */
  readonly grammar?: Grammar;
  /** Positions of the prompt up to which others may have it too: their states are kept. */
  readonly boundaries?: readonly number[];
}

export interface ScoreRequest {
  readonly tokens: Uint32Array;
  /** Also return every position's logits. */
  readonly logits: boolean;
  /** Also return so many of the likeliest tokens at every position, as far as they are candidates; none if left out. */
  readonly top?: number;
  /** Rows of each step, used in turn again and again; empty for the engine's own chunks. [1] reads token by token. */
  readonly chunks: readonly number[];
}

/** One generated token. Log-probabilities are of the distribution before temperature and truncation. */
export interface GeneratedToken {
  readonly id: number;
  readonly logprob?: number;
  /** By falling probability. */
  readonly top?: readonly (readonly [id: number, logprob: number])[];
}

/** Why a generation ended: a stop token, `maxTokens` or the context's end, or its caller's wish. */
export type EngineFinish = "stop" | "length" | "abort";

export interface GenerateStats {
  readonly promptTokens: number;
  /** Of them, those whose states were kept and not computed again. */
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  /** From submission to the first token. */
  readonly prefillMillis: number;
  /** From the first token to the last. */
  readonly decodeMillis: number;
}

/** A stretch of scored positions. */
export interface ScoreRows {
  /** Position of the first row. */
  readonly first: number;
  /** ln p(token at first + i | tokens before it); NaN for position 0. */
  readonly logprobs: Float64Array;
  /** [rows, V], when asked for. */
  readonly logits: Float32Array | null;
  /** When asked for: of each position, the likeliest tokens there by falling probability; none for position 0. */
  readonly top?: readonly (readonly (readonly [id: number, logprob: number])[])[];
}

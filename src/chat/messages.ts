/** The currency of text: what a conversation consists of, what is asked for and the deltas that come back. */
import type { SamplingParams } from "../pipeline/requests.ts";

/** A call that the model made. `arguments` is JSON text, as the model wrote it. */
export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A function that the model may call; `parameters` is a JSON Schema. `strict` holds the arguments to it. */
export interface Tool {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters?: unknown;
    readonly strict?: boolean;
  };
}

/** What an answer's content must be. `strict` leaves out properties that a schema neither names nor mentions. */
export type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object" }
  | { readonly type: "json_schema"; readonly schema: unknown; readonly strict: boolean };

/** Whether the model calls tools as it likes, must call some, or must call one of this name. */
export type ToolChoice = "auto" | "required" | { readonly name: string };

/** One turn, in OpenAI's shape. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly ToolCall[];
  readonly tool_call_id?: string;
}

/** What a chat and a raw completion have in common. Left out means the model's own default (greedy sampling, no stop). */
export interface GenerationOptions {
  /** Neutral values hold for what is left out; temperature is 0, greedy, and seed random. */
  readonly sampling?: Partial<SamplingParams>;
  /** Tokens to generate at most; the rest of the context by default. */
  readonly maxTokens?: number;
  /** Texts that end the answer; they are not part of it. Looked for in the content, not in thoughts or calls. */
  readonly stop?: readonly string[];
  /** Alternatives to report for each token; left out reports no log-probabilities. */
  readonly logprobs?: number;
}

export interface ChatRequest extends GenerationOptions {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly Tool[];
  /** False ends the answer behind its first call; true by default. */
  readonly parallelCalls?: boolean;
  /** Whether the model thinks first; its template's own default if left out. */
  readonly thinking?: boolean;
  /** Tokens after which a thought is closed. */
  readonly thinkBudget?: number;
  /** Text by default. A thought comes before it. */
  readonly responseFormat?: ResponseFormat;
  /** `auto` by default. */
  readonly toolChoice?: ToolChoice;
}

export interface CompletionRequest extends GenerationOptions {
  /** Continued as it is: no template, and no special tokens but those that ids name. */
  readonly prompt: string | readonly number[];
  /** Begin with the prompt, log-probabilities of its tokens included; `maxTokens` may then be 0. */
  readonly echo?: boolean;
}

/** Log-probability of one token, with alternatives by falling probability. */
export interface TokenLogprob {
  readonly token: string;
  readonly bytes: readonly number[];
  /** NaN for a prompt's first token, which has none. */
  readonly logprob: number;
  /** Where its text begins in all that was written, in UTF-16 units. */
  readonly offset: number;
  readonly top: readonly { readonly token: string; readonly bytes: readonly number[]; readonly logprob: number }[];
}

export type FinishReason = "stop" | "length" | "tool_calls";

export interface Usage {
  readonly promptTokens: number;
  /** Of the prompt's, those that were not computed again. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** Of `completionTokens`, those of the thought. */
  readonly reasoningTokens: number;
}

export interface Timings {
  /** From submission to the first token. */
  readonly prefillMillis: number;
  /** From the first token to the last. */
  readonly decodeMillis: number;
}

/** A piece of the answer. Texts of one kind concatenate to the whole; a stream ends with `finish`. */
export type Delta =
  | { readonly type: "reasoning"; readonly text: string; readonly logprobs?: readonly TokenLogprob[] }
  | { readonly type: "content"; readonly text: string; readonly logprobs?: readonly TokenLogprob[] }
  /** The first delta of an index has id and name; arguments arrive in pieces. */
  | {
    readonly type: "tool_call";
    readonly index: number;
    readonly id?: string;
    readonly name?: string;
    readonly arguments: string;
    readonly logprobs?: readonly TokenLogprob[];
  }
  | { readonly type: "finish"; readonly reason: FinishReason; readonly usage: Usage; readonly timings: Timings };

/** A delta stream folded into one message. */
export interface Reply {
  readonly content: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly logprobs: readonly TokenLogprob[];
  readonly reason: FinishReason;
  readonly usage: Usage;
  readonly timings: Timings;
}

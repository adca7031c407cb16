/** What may go wrong with a request, as a status and OpenAI's error body. */
import type { z } from "zod";
import { EngineBusyError, EngineUnavailableError, RequestError, TooLongError } from "../chat/request_error.ts";

export type Status = 400 | 401 | 404 | 405 | 408 | 413 | 415 | 429 | 500 | 503 | 504;

/** Seconds after which a request that found the server busy or not ready may come again. */
const RETRY_SECONDS = 2;

/** OpenAI's error body. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** An answer other than success. `param` names the field that is to blame. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: Status,
    message: string,
    readonly details: { readonly param?: string; readonly code?: string } = {},
  ) {
    super(message);
  }

  get body(): ErrorBody {
    const { param = null, code = null } = this.details;
    return { error: { message: this.message, type: typeOf(this.status), param, code } };
  }

  /** Of the answer, besides its body. */
  get headers(): Record<string, string> {
    return this.status === 429 || this.status === 503 ? { "retry-after": `${RETRY_SECONDS}` } : {};
  }
}

function typeOf(status: Status): string {
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/**
 * The answer to whatever was thrown at a request to `path`. What is neither the client's fault nor meant for it stays in
 * the log.
 */
export function toApiError(error: unknown, path: string): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof RequestError) {
    return new ApiError(400, error.message, { param: { ...params, ...paramsAt[path] }[error.field] });
  }
  if (error instanceof EngineBusyError) return new ApiError(429, error.message, { code: "queue_full" });
  if (error instanceof EngineUnavailableError) return new ApiError(503, error.message, { code: "unavailable" });
  if (error instanceof TooLongError) return new ApiError(400, error.message, { code: "context_length_exceeded" });
  return new ApiError(500, "The server failed to answer this request: its log says why");
}

/** Fields of the chat layer by their names here. Of the sampling, all but the vocabulary's size is in the schema. */
const params: Readonly<Record<RequestError["field"], string>> = {
  messages: "messages",
  prompt: "prompt",
  tools: "tools",
  parallelCalls: "parallel_tool_calls",
  thinking: "chat_template_kwargs.enable_thinking",
  thinkBudget: "thinking_budget",
  sampling: "logit_bias",
  maxTokens: "max_tokens",
  stop: "stop",
  logprobs: "top_logprobs",
  echo: "echo",
  responseFormat: "response_format",
  toolChoice: "tool_choice",
};

/** Where they have other names. */
const paramsAt: Readonly<Record<string, Partial<typeof params>>> = {
  "/v1/completions": { logprobs: "logprobs" },
  "/v1/responses": { messages: "input", maxTokens: "max_output_tokens", responseFormat: "text.format" },
};

/** Characters of a field's name that an error repeats. */
const MAX_PARAM = 200;

/** The first complaint of a failed validation, as status 400. `input` is what was validated. */
export function invalid(error: z.ZodError, input: unknown): ApiError {
  const { path, message } = blame(error.issues[0]!);
  const keys = path.map((key) => typeof key === "number" ? `[${key}]` : `.${String(key)}`);
  const param = keys.join("").slice(1, MAX_PARAM);
  const value = path.reduce<unknown>((all, key) => (all as Record<PropertyKey, unknown> | undefined)?.[key], input);
  if (param === "") return new ApiError(400, `Cannot read the request: ${message}`);
  if (value === undefined) return new ApiError(400, `Missing required field ${param}`, { param });
  const shown = typeof value === "object" || String(value).length > 60 ? "" : `: ${JSON.stringify(value)}`;
  return new ApiError(400, `Invalid ${param}${shown}: ${message}`, { param });
}

type Issue = z.core.$ZodIssue;

/** The innermost place that an issue is about, with a sentence. */
function blame(issue: Issue): { path: PropertyKey[]; message: string } {
  if (issue.code === "unrecognized_keys") {
    return { path: [...issue.path, issue.keys[0]!], message: "this field is not supported" };
  }
  if (issue.code === "invalid_key") return { path: issue.path, message: issue.issues[0]?.message ?? issue.message };
  if (issue.code === "invalid_union") {
    const inner = issue.errors.flatMap((branch) => branch.slice(0, 1)).map(blame);
    const deepest = inner.toSorted((a, b) => b.path.length - a.path.length)[0];
    if (deepest && deepest.path.length > 0) return { ...deepest, path: [...issue.path, ...deepest.path] };
  }
  const message = issue.message.replace(/^Invalid input: /, "");
  return { path: issue.path, message: message.charAt(0).toLowerCase() + message.slice(1) };
}

/** The server's API as far as the page needs it. */
import { eventData } from "./events.ts";
import { cut, down, failureInStream, failureOf, RequestFailure } from "./failure.ts";

/** The body of a chat completion; what is left out is the server's default. */
export interface Question {
  readonly model?: string;
  readonly messages: readonly { readonly role: "system" | "user" | "assistant"; readonly content: string }[];
  readonly temperature?: number;
  readonly top_p?: number;
  readonly max_tokens?: number;
  readonly thinking_budget?: number;
  readonly chat_template_kwargs: { readonly enable_thinking: boolean };
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null;
}

/** A piece of an answer. */
export type Piece =
  | { readonly type: "reasoning" | "content"; readonly text: string }
  | { readonly type: "finish"; readonly reason: string }
  | { readonly type: "usage"; readonly usage: Usage };

interface Chunk {
  readonly error?: { readonly message?: string };
  readonly choices?: readonly {
    readonly delta: { readonly content?: string | null; readonly reasoning_content?: string | null };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: Usage | null;
}

/** @throws {RequestFailure} if the model's name cannot be had. */
export async function servedModel(key: string): Promise<string> {
  const response = await request("/v1/models", key, {});
  const { data } = await response.json() as { data: readonly { id: string }[] };
  return data[0]?.id ?? "";
}

/**
 * `ok` once the model is warm, `loading` before, `stopped` after it has failed for good.
 *
 * @throws {RequestFailure} if nobody answers.
 */
export async function health(): Promise<string> {
  const response = await fetch("/health", { cache: "no-store" }).catch(() => {
    throw new RequestFailure(down);
  });
  const { status } = await response.json() as { status?: string };
  return status ?? "loading";
}

/**
 * The answer as it comes. Ending the iteration early, or the signal, ends the generation.
 *
 * @throws {RequestFailure} at the first thing that goes wrong; the signal's reason if that ended it.
 */
export async function* ask(question: Question, key: string, signal: AbortSignal): AsyncGenerator<Piece> {
  const body = JSON.stringify({ ...question, stream: true, stream_options: { include_usage: true } });
  const headers = { "content-type": "application/json" };
  const response = await request("/v1/chat/completions", key, { method: "POST", headers, body, signal });
  try {
    for await (const data of eventData(response.body!)) {
      if (data === "[DONE]") return;
      yield* pieces(JSON.parse(data));
    }
  } catch (error) {
    if (signal.aborted || error instanceof RequestFailure) throw error;
    throw new RequestFailure(cut);
  }
  signal.throwIfAborted();
  throw new RequestFailure(cut);
}

function* pieces(chunk: Chunk): Generator<Piece> {
  if (chunk.error) throw new RequestFailure(failureInStream(chunk));
  const { delta, finish_reason: reason } = chunk.choices?.[0] ?? { delta: {} };
  if (delta.reasoning_content) yield { type: "reasoning", text: delta.reasoning_content };
  if (delta.content) yield { type: "content", text: delta.content };
  if (reason) yield { type: "finish", reason };
  if (chunk.usage) yield { type: "usage", usage: chunk.usage };
}

async function request(path: string, key: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  if (key !== "") headers.set("authorization", `Bearer ${key}`);
  const response = await fetch(path, { ...init, headers, cache: "no-store" }).catch((error) => {
    if (init.signal?.aborted) throw error;
    throw new RequestFailure(down);
  });
  if (response.ok) return response;
  throw new RequestFailure(await failureOf(response, key !== ""));
}

/** What is known of one request and its answer: an id for the client, a line for the log. */
import { createMiddleware } from "hono/factory";
import type { Delta, FinishReason } from "../chat/messages.ts";
import type { Traffic } from "./traffic.ts";

/** Of one request, once it is over. Never holds any of its text. */
export interface LogEntry {
  /** The client's own, if it sent one. */
  readonly id: string;
  readonly method: string;
  readonly path: string;
  /** 499 where the client left before the end. */
  readonly status: number;
  readonly millis: number;
  readonly promptTokens?: number;
  /** Of the prompt's tokens, those that a cache gave. */
  readonly cachedTokens?: number;
  readonly completionTokens?: number;
  /** Until the first delta. */
  readonly firstMillis?: number;
  /** From the first token to the last. */
  readonly decodeMillis?: number;
  readonly finish?: FinishReason;
  /** What went wrong on our side. */
  readonly error?: unknown;
}

export type Log = (entry: LogEntry) => void;

/** What a client may call its request: anything that is harmless in a log. */
const CLIENT_ID = /^[\w.:/+=-]{1,128}$/;

/** Filled in while a request is answered; `close` writes the log line, once. */
export class LoggedRequest {
  readonly id: string;
  /** Set by an answer that goes on after its headers; it closes itself then. */
  streaming = false;
  error: unknown;
  readonly #started = performance.now();
  #answer: Omit<LogEntry, "id" | "method" | "path" | "status" | "millis" | "error"> = {};
  #closed = false;

  constructor(readonly method: string, readonly path: string, readonly log: Log, clientId: string | undefined) {
    this.id = clientId && CLIENT_ID.test(clientId) ? clientId : `req_${crypto.randomUUID().replaceAll("-", "")}`;
  }

  close(status: number): void {
    if (this.#closed) return;
    this.#closed = true;
    const { id, method, path, error } = this;
    const millis = this.#millis;
    this.log({ id, method, path, status, millis, ...this.#answer, ...(error === undefined ? {} : { error }) });
  }

  /** Passes an answer's deltas on; remembers when the first came, and what the last one says, with the request's other answers. */
  async *observe(deltas: AsyncIterable<Delta>): AsyncGenerator<Delta> {
    for await (const delta of deltas) {
      this.#hear(delta);
      yield delta;
    }
  }

  #hear(delta: Delta): void {
    const { firstMillis = this.#millis } = this.#answer;
    this.#answer = { ...this.#answer, firstMillis };
    if (delta.type !== "finish") return;
    const { usage, timings, reason } = delta;
    const { promptTokens = 0, cachedTokens = 0, completionTokens = 0, decodeMillis = 0 } = this.#answer;
    this.#answer = {
      promptTokens: promptTokens + usage.promptTokens,
      cachedTokens: cachedTokens + usage.cachedTokens,
      completionTokens: completionTokens + usage.completionTokens,
      firstMillis,
      decodeMillis: decodeMillis + Math.round(timings.decodeMillis),
      finish: reason,
    };
  }

  get #millis(): number {
    return Math.round(performance.now() - this.#started);
  }
}

export interface Env {
  Variables: { logged: LoggedRequest; traffic: Traffic };
}

/** Keeps a log entry for each request and closes it with its answer. */
export const logRequests = (log: Log) =>
  createMiddleware<Env>(async (context, next) => {
    const { method, path, raw } = context.req;
    const logged = new LoggedRequest(method, path, log, context.req.header("x-request-id"));
    context.set("logged", logged);
    context.header("x-request-id", logged.id);
    raw.signal.addEventListener("abort", () => logged.close(499));
    await next();
    if (!logged.streaming) logged.close(context.res.status);
  });

/** What is known of one request and its answer: an id for the client, a line for the log. */
import { createMiddleware } from "hono/factory";
import type { Delta } from "../chat/messages.ts";

/** Of one request, once it is over. Never holds any of its text. */
export interface LogEntry {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  /** 499 where the client left before the end. */
  readonly status: number;
  readonly millis: number;
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  /** What went wrong on our side. */
  readonly error?: unknown;
}

export type Log = (entry: LogEntry) => void;

/** Filled in while a request is answered; `close` writes the log line, once. */
export class LoggedRequest {
  readonly id = `req_${crypto.randomUUID().replaceAll("-", "")}`;
  /** Set by an answer that goes on after its headers; it closes itself then. */
  streaming = false;
  error: unknown;
  readonly #started = performance.now();
  #usage: Pick<LogEntry, "promptTokens" | "completionTokens"> = {};
  #closed = false;

  constructor(readonly method: string, readonly path: string, readonly log: Log) {}

  close(status: number): void {
    if (this.#closed) return;
    this.#closed = true;
    const { id, method, path, error } = this;
    const millis = Math.round(performance.now() - this.#started);
    this.log({ id, method, path, status, millis, ...this.#usage, ...(error === undefined ? {} : { error }) });
  }

  /** Passes an answer's deltas on and adds its token counts to those of the request's other answers. */
  async *observe(deltas: AsyncIterable<Delta>): AsyncGenerator<Delta> {
    for await (const delta of deltas) {
      if (delta.type === "finish") {
        const { promptTokens = 0, completionTokens = 0 } = this.#usage;
        this.#usage = {
          promptTokens: promptTokens + delta.usage.promptTokens,
          completionTokens: completionTokens + delta.usage.completionTokens,
        };
      }
      yield delta;
    }
  }
}

export interface Env {
  Variables: { logged: LoggedRequest };
}

/** Keeps a log entry for each request and closes it with its answer. */
export const logRequests = (log: Log) =>
  createMiddleware<Env>(async (context, next) => {
    const logged = new LoggedRequest(context.req.method, context.req.path, log);
    context.set("logged", logged);
    context.header("x-request-id", logged.id);
    context.req.raw.signal.addEventListener("abort", () => logged.close(499));
    await next();
    if (!logged.streaming) logged.close(context.res.status);
  });

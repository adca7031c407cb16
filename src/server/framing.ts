/** How an answer is written as server-sent events. */
import type { ErrorBody } from "./errors.ts";

/** One answer's; asked in order. */
export interface Framing {
  event(data: object): string;
  /** In place of the rest, when it fails between. */
  error(body: ErrorBody): string;
  /** What comes after the last event. */
  readonly end: string;
}

/** Nothing but data, up to `[DONE]`. */
export const dataFraming: Framing = {
  event: (data) => `data: ${JSON.stringify(data)}\n\n`,
  error: (body) => `data: ${JSON.stringify(body)}\n\n`,
  end: "data: [DONE]\n\n",
};

/** Events by their types, each with its number. */
export function typedFraming(): Framing {
  let sent = 0;
  const write = (event: { readonly type?: string }) =>
    `event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: sent++ })}\n\n`;
  return {
    event: write,
    error: ({ error: { message, code, param } }) => write({ type: "error", ...{ code, message, param } }),
    end: "",
  };
}

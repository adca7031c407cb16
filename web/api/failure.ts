/** What can go wrong with a request, in words for the person who waits for the answer. */

export type FailureKind =
  /** Nobody answers at the server's address. */
  | "down"
  /** The model is still being loaded. */
  | "loading"
  /** The API key is missing or wrong. */
  | "locked"
  /** Too many requests wait already. */
  | "busy"
  /** The conversation does not fit into the context. */
  | "too_long"
  /** The answer broke off. */
  | "cut"
  /** Whatever the server says. */
  | "other";

export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
  /** Seconds after which the server asks to be tried again. */
  readonly retryAfter?: number;
}

/** Thrown by everything that talks to the server. */
export class RequestFailure extends Error {
  override readonly name = "RequestFailure";

  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

export const down: Failure = { kind: "down", message: "The server does not answer. Is it still running?" };

export const cut: Failure = {
  kind: "cut",
  message: "The connection broke before the answer was complete.",
};

interface ErrorBody {
  readonly error?: {
    readonly message?: unknown;
    readonly type?: unknown;
    readonly param?: unknown;
    readonly code?: unknown;
  };
}

const busy: Failure = { kind: "busy", message: "The server is busy with other requests." };
const loading: Failure = { kind: "loading", message: "The model is still being loaded." };

/** @param withKey Whether the request came with an API key. */
export async function failureOf(response: Response, withKey: boolean): Promise<Failure> {
  const body: ErrorBody = await response.json().catch(() => ({}));
  const said = messageOf(body);
  switch (response.status) {
    case 401:
      return {
        kind: "locked",
        message: withKey ? "The server does not accept this API key." : "This server asks for an API key.",
      };
    case 429: {
      const seconds = Number(response.headers.get("retry-after"));
      return { ...busy, ...(seconds > 0 ? { retryAfter: Math.ceil(seconds) } : {}) };
    }
    case 503:
      if (body.error?.code === "loading") return loading;
      return { kind: "other", message: said || "The server cannot answer at the moment." };
    case 413:
      return tooLong("This message is longer than the server accepts.");
    case 400:
      if (isTooLong(body, said)) return tooLong("This conversation is longer than the model can read.");
      return { kind: "other", message: said || "The server does not understand this request." };
    default:
      return { kind: "other", message: said || `The server failed with status ${response.status}.` };
  }
}

/** Of an error that comes inside a stream, where there is no status any more. */
export function failureInStream(body: ErrorBody): Failure {
  const said = messageOf(body);
  if (body.error?.type === "rate_limit_error") return busy;
  if (isTooLong(body, said)) return tooLong("This conversation is longer than the model can read.");
  return { kind: "other", message: said || cut.message };
}

function messageOf({ error }: ErrorBody): string {
  return typeof error?.message === "string" ? error.message : "";
}

function isTooLong({ error }: ErrorBody, said: string): boolean {
  return error?.code === "context_length_exceeded" || error?.param === "messages" && /\bcontext\b/.test(said);
}

function tooLong(what: string): Failure {
  return { kind: "too_long", message: `${what} Start a new one, or shorten a message above.` };
}

/** Which answers are under way, how long they may take, and their end when the server stops. */
import { ApiError } from "./errors.ts";

/** Milliseconds that a server grants its clients. */
export interface Times {
  /** For a request's headers to arrive, from the connection's begin or the answer before. */
  readonly headers: number;
  /** For a request's body to arrive. */
  readonly body: number;
  /** For an answer, from the request to its end; Infinity for as long as it takes. */
  readonly answer: number;
  /** Without an event, after which a stream says that it is still there. */
  readonly keepAlive: number;
  /** For a client to read what was sent. */
  readonly stall: number;
  /** For a connection to stay open without a request. */
  readonly idle: number;
}

const TIMES: Times = {
  ...{ headers: 15_000, body: 30_000, idle: 75_000 },
  ...{ answer: Infinity, keepAlive: 10_000, stall: 30_000 },
};

export class Traffic {
  readonly times: Times;
  readonly #running = new Set<Lifetime>();
  #draining = false;
  #ended = () => {};

  constructor(times: Partial<Times> = {}) {
    this.times = { ...TIMES, ...times };
  }

  /** Whether no more requests are taken. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Answers under way. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Begins an answer, to be disposed of at its end.
   * @param client Aborts when the client leaves.
   * @throws {ApiError} 503 once the server drains.
   */
  begin(client: AbortSignal): Lifetime {
    if (this.#draining) throw stopping();
    const lifetime: Lifetime = new Lifetime(client, this.times.answer, () => {
      this.#running.delete(lifetime);
      if (this.#running.size === 0) this.#ended();
    });
    this.#running.add(lifetime);
    return lifetime;
  }

  /** Takes no more requests, and resolves once all answers have ended: by themselves, or ended after `millis`. */
  async drain(millis: number): Promise<void> {
    this.#draining = true;
    if (this.#running.size === 0) return;
    const ended = new Promise<void>((resolve) => this.#ended = resolve);
    const timer = setTimeout(() => this.#running.forEach((lifetime) => lifetime.end(stopping())), millis);
    await ended;
    clearTimeout(timer);
  }
}

/** One answer's: until its client leaves, its time is over or somebody ends it. */
export class Lifetime implements Disposable {
  readonly #controller = new AbortController();
  readonly #leave = () => this.end(this.client.reason);
  readonly #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly client: AbortSignal, millis: number, readonly ended: () => void) {
    client.addEventListener("abort", this.#leave);
    if (client.aborted) this.#leave();
    if (millis < Infinity) this.#timer = setTimeout(() => this.end(late(millis)), millis);
  }

  /** Aborts when the generation is to stop, with the reason why. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(reason: Error): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    this.client.removeEventListener("abort", this.#leave);
    clearTimeout(this.#timer);
    this.ended();
  }
}

function stopping(): ApiError {
  return new ApiError(503, "The server is stopping: ask another one, or this one later", { code: "draining" });
}

function late(millis: number): ApiError {
  const message = `The answer took longer than the ${millis / 1000} s that this server allows: ask for fewer tokens`;
  return new ApiError(504, message, { code: "timeout" });
}

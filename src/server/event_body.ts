/** The body of a stream of events: written as fast as its client reads, and never silent for long. */
import type { Times } from "./traffic.ts";

/** A comment, which clients of server-sent events skip; it keeps proxies from closing the connection. */
const KEEP_ALIVE = ": keep-alive\n\n";

export class EventBody implements UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
  readonly #encoder = new TextEncoder();
  readonly #events: AsyncIterator<string>;
  readonly #times: Pick<Times, "keepAlive" | "stall">;
  readonly #leave: (reason: Error) => unknown;
  #next: Promise<IteratorResult<string>> | null = null;
  #stalled: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param events Their text, as it is sent; asked for the next one only when the last was read. Must not throw.
   * @param leave Called if the client leaves, or does not read for too long, before the end.
   */
  constructor(
    events: AsyncIterator<string>,
    times: Pick<Times, "keepAlive" | "stall">,
    leave: (reason: Error) => unknown,
  ) {
    this.#events = events;
    this.#times = times;
    this.#leave = leave;
  }

  /** Called when the client has read what was sent before. */
  async pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    clearTimeout(this.#stalled);
    this.#next ??= this.#events.next();
    const next = await within(this.#next, this.#times.keepAlive);
    if (next?.done) return controller.close();
    if (next) this.#next = null;
    controller.enqueue(this.#encoder.encode(next?.value ?? KEEP_ALIVE));
    this.#stalled = setTimeout(() => {
      const reason = new Error(`The client did not read for ${this.#times.stall / 1000} s`);
      controller.error(reason);
      this.#leave(reason);
    }, this.#times.stall);
  }

  async cancel(): Promise<void> {
    clearTimeout(this.#stalled);
    await this.#leave(new DOMException("The client has left", "AbortError"));
  }
}

/** What the promise resolves to, or undefined if it takes longer. */
export async function within<T>(promise: Promise<T>, millis: number): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), millis);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Pings the other side of a hop, and notices when it has fallen silent. Both sides do, as frames of one may queue up before its answers. */

const PING_MILLIS = 1000;
export const SILENCE_MILLIS = 3000;

export class Pulse {
  #roundTripMillis: number | null = null;
  #heard = performance.now();
  #ticked = performance.now();
  /** When the ping was sent that has no answer yet. */
  #asked: number | null = null;
  readonly #ping: () => void;
  readonly #silent: () => void;
  readonly #timer: ReturnType<typeof setInterval>;

  /** Pings at once, and then every second until it is stopped. */
  constructor(ping: () => void, silent: () => void) {
    this.#ping = ping;
    this.#silent = silent;
    this.#timer = setInterval(() => this.#tick(), PING_MILLIS);
    queueMicrotask(() => this.#tick());
  }

  get roundTripMillis(): number | null {
    return this.#roundTripMillis;
  }

  /** Anything came from the other side. */
  heard(): void {
    this.#heard = performance.now();
  }

  answered(): void {
    if (this.#asked !== null) this.#roundTripMillis = performance.now() - this.#asked;
    this.#asked = null;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = performance.now();
    // What came while this thread itself was stopped has not been read yet.
    if (now - this.#ticked > 2 * PING_MILLIS) this.#heard = now;
    this.#ticked = now;
    if (now - this.#heard >= SILENCE_MILLIS) return this.#silent();
    this.#asked ??= now;
    this.#ping();
  }
}

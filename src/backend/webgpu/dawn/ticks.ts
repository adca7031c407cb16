/** Dawn's turns: it asks for one through setImmediate() whenever something is awaited, and looks in it at what the GPU has done. */
import { setImmediate } from "node:timers";

/** For so long each turn of the event loop is one of Dawn's; then a timer gives them. */
const EAGER_MILLIS = 5;

/**
 * Takes what Dawn gives to setImmediate(), so that a turn can also be had at once, within a call. Dawn looks the function up among the
 * global ones, so that ours is there while Dawn has the thread and at no other time.
 */
export class Ticks {
  #asked: (() => void)[] = [];
  #running = false;

  /** Calls Dawn. */
  during<T>(call: () => T): T {
    const usual = Object.getOwnPropertyDescriptor(globalThis, "setImmediate")!;
    Object.defineProperty(globalThis, "setImmediate", { ...OURS, value: this.#ask });
    try {
      return call();
    } finally {
      Object.defineProperty(globalThis, "setImmediate", usual);
    }
  }

  /** Gives Dawn the turns that it asked for; false if there are none. */
  give(): boolean {
    const asked = this.#asked;
    if (asked.length === 0) return false;
    this.#asked = [];
    this.during(() => {
      for (const turn of asked) turn();
    });
    return true;
  }

  readonly #ask = (turn: () => void): void => {
    this.#asked.push(turn);
    if (!this.#running) void this.#run();
  };

  /** For as long as Dawn asks. Deno's event loop was seen asleep with something given to setImmediate(): a timer wakes it. */
  async #run(): Promise<void> {
    this.#running = true;
    const begun = performance.now();
    while (this.#asked.length > 0) {
      const eager = performance.now() - begun < EAGER_MILLIS;
      await Promise.race([new Promise((resolve) => setTimeout(resolve, 1)), ...eager ? [turn()] : []]);
      this.give();
    }
    this.#running = false;
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

const OURS = { configurable: true, enumerable: true, writable: true } as const;

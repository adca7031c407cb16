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

  /** For as long as Dawn asks. */
  async #run(): Promise<void> {
    this.#running = true;
    const begun = performance.now();
    while (this.#asked.length > 0) {
      const eager = performance.now() - begun < EAGER_MILLIS;
      await new Promise<void>((resolve) => eager ? setImmediate(resolve) : setTimeout(resolve, 1));
      this.give();
    }
    this.#running = false;
  }
}

const OURS = { configurable: true, enumerable: true, writable: true } as const;

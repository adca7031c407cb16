/** Lets a device call back what is done, for as long as somebody waits for it. */
import { setImmediate } from "node:timers";

/** For so long each turn of the event loop asks the device; then a timer does. */
const EAGER_MILLIS = 5;

/** Asks while anybody waits. */
export class Waiting {
  readonly #poll: () => void;
  readonly #waiting = new Set<() => void>();
  #running = false;

  constructor(poll: () => void) {
    this.#poll = poll;
  }

  /** Returns what is to be called when it is done; `lost` is called instead if the device does nothing any more. */
  add(lost: () => void = () => {}): () => void {
    this.#waiting.add(lost);
    if (!this.#running) void this.#run();
    return () => this.#waiting.delete(lost);
  }

  /** Nothing comes any more. */
  end(): void {
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (const lost of all) lost();
  }

  async #run(): Promise<void> {
    this.#running = true;
    const begun = performance.now();
    await null; // lets the call that waits be made
    while (this.#waiting.size > 0) {
      this.#poll();
      if (this.#waiting.size === 0) break;
      const eager = performance.now() - begun < EAGER_MILLIS;
      await new Promise<void>((resolve) => eager ? setImmediate(resolve) : setTimeout(resolve, 1));
    }
    this.#running = false;
  }
}

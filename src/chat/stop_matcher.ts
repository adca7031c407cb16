/** Ends a stream of text before the first stop text, wherever its pieces are cut. */
import { partialSuffix } from "./partial_suffix.ts";

/** Of several stop texts the one that is complete first ends the stream; of two that end together, the longer. */
export class StopMatcher {
  readonly #stops: readonly string[];
  #held = "";
  #stopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Whether a stop text was found. What is pushed afterwards vanishes. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Characters that wait, because a stop text may begin with them. */
  get held(): number {
    return this.#held.length;
  }

  /** What may be shown now. */
  push(text: string): string {
    if (this.#stopped) return "";
    const all = this.#held + text;
    const start = this.#find(all);
    this.#stopped = start !== undefined;
    const shown = start ?? all.length - partialSuffix(all, this.#stops);
    this.#held = this.#stopped ? "" : all.slice(shown);
    return all.slice(0, shown);
  }

  /** What waited, when no more text follows. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  #find(text: string): number | undefined {
    return this.#stops
      .map((stop) => ({ start: text.indexOf(stop), stop }))
      .filter(({ start }) => start >= 0)
      .toSorted((a, b) => a.start + a.stop.length - b.start - b.stop.length || a.start - b.start)[0]?.start;
  }
}

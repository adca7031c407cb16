/** What a stage has done, and how busy it was of late. */
import type { StageStatus } from "./protocol.ts";

/** The while that rates are of. */
const WINDOW_MILLIS = 1000;

export type Figures = Pick<StageStatus, "steps" | "rows" | "rowsPerSecond" | "busy">;

export class StageFigures {
  readonly #now: () => number;
  #steps = 0;
  #rows = 0;
  #busyMillis = 0;
  #busySince: number | null = null;
  #from: { readonly at: number; readonly rows: number; readonly busyMillis: number };
  #rates = { rowsPerSecond: 0, busy: 0 };

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#from = { at: now(), rows: 0, busyMillis: 0 };
  }

  /** There is something to compute, or nothing any more. */
  set computing(computing: boolean) {
    const now = this.#now();
    if (this.#busySince !== null) this.#busyMillis += now - this.#busySince;
    this.#busySince = computing ? now : null;
  }

  /** A step of so many rows went well. */
  ran(rows: number): void {
    this.#steps++;
    this.#rows += rows;
  }

  /** Rates are those since the last time that they were made anew, a second ago at least. */
  get all(): Figures {
    this.computing = this.#busySince !== null; // up to now
    const { at, rows, busyMillis } = this.#from;
    const now = this.#now();
    if (now - at >= WINDOW_MILLIS) {
      this.#rates = {
        rowsPerSecond: (this.#rows - rows) * 1000 / (now - at),
        busy: (this.#busyMillis - busyMillis) / (now - at),
      };
      this.#from = { at: now, rows: this.#rows, busyMillis: this.#busyMillis };
    }
    return { steps: this.#steps, rows: this.#rows, ...this.#rates };
  }
}

/** What a failed step means for its sequences, and for those that went on from it while it was under way. */
import { StepError } from "../pipeline/pipeline.ts";
import type { Batch, Share } from "./batch.ts";
import type { Room } from "./room.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Sequence } from "./sequence.ts";
import type { Tasks } from "./tasks.ts";
import { VoidResults } from "./void_results.ts";

/** Hears of all steps, in their order. */
export class Recovery {
  readonly #scheduler: Scheduler;
  readonly #room: Room;
  readonly #tasks: Tasks;
  readonly #void = new VoidResults();
  #learnt = 0; // steps that were made before it was known how many pages there are

  constructor(scheduler: Scheduler, room: Room, tasks: Tasks) {
    this.#scheduler = scheduler;
    this.#room = room;
    this.#tasks = tasks;
  }

  /** A step has gone well, but what it was to keep may be void. Who went on from what is void begins anew. */
  note(batch: Batch): void {
    for (const snapshot of this.#void.note(batch, false)) this.#room.forget(snapshot);
    this.#preempt(batch.shares.filter((share) => this.#void.has(share)));
  }

  /**
   * A step has failed. Its sequences begin anew, if pages were wanting, of which there will be no more, or others had failed before them.
   * Returns those that fail with it else.
   */
  fail(batch: Batch, error: unknown): Sequence[] {
    const followed = this.#void.reaches(batch);
    for (const snapshot of this.#void.note(batch, true)) this.#room.forget(snapshot);
    const pages = error instanceof StepError ? error.pages : null;
    if (followed || (pages !== null && this.#learn(pages, batch.step.id))) {
      this.#preempt(batch.shares);
      return [];
    }
    return this.#waiting(batch.shares);
  }

  /** Notes that there are only so many pages; false if that was known already when the step was made. */
  #learn(pages: number, step: number): boolean {
    if (this.#room.lower(pages)) this.#learnt = this.#scheduler.steps;
    return step < this.#learnt;
  }

  #preempt(shares: readonly Share[]): void {
    this.#scheduler.preempt(this.#waiting(shares));
  }

  #waiting(shares: readonly Share[]): Sequence[] {
    return shares.filter((share) => this.#tasks.counts(share)).map(({ sequence }) => sequence);
  }
}

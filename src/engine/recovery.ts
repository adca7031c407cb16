/** What a failed step, or the loss of what stages had, means for its sequences, and for those that went on from it while it was under way. */
import { StepError } from "../pipeline/pipeline.ts";
import type { Released } from "../pipeline/steps.ts";
import type { Batch, Share } from "./batch.ts";
import type { Room } from "./room.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Sequence } from "./sequence.ts";
import type { Tasks } from "./tasks.ts";
import { VoidResults } from "./void_results.ts";

/** Losses behind each other, without a token between them, after which a sequence fails: it may be what its stages die of. */
const MOST_LOSSES = 10;

/** Hears of all steps, in their order. */
export class Recovery {
  readonly #scheduler: Scheduler;
  readonly #room: Room;
  readonly #tasks: Tasks;
  readonly #void = new VoidResults();
  readonly #losses = new WeakMap<Sequence, { readonly length: number; readonly count: number }>();
  #learnt = 0; // steps that were made before it was known how many pages there are

  constructor(scheduler: Scheduler, room: Room, tasks: Tasks) {
    this.#scheduler = scheduler;
    this.#room = room;
    this.#tasks = tasks;
  }

  /**
   * A step has gone well, but for segments that were lost, and what it was to keep may be void. Whose those are, and who went on from what is
   * void, begins anew. Returns those that fail, as they were lost too often.
   */
  note(batch: Batch, lost: ReadonlySet<number> = new Set()): Sequence[] {
    for (const snapshot of this.#void.note(batch, (i) => lost.has(i))) this.#room.forget(snapshot);
    const hopeless = this.#beginAnew(this.#waiting(batch.shares.filter((_, i) => lost.has(i))));
    const others = this.#waiting(batch.shares.filter((share) => this.#void.has(share)));
    this.#scheduler.preempt(others.filter((sequence) => !hopeless.includes(sequence)));
    return hopeless;
  }

  /**
   * A step has failed. Its sequences begin anew, if it was lost, if pages were wanting, of which there will be no more, or if others had failed
   * before them. Returns those that fail with it else.
   */
  fail(batch: Batch, error: unknown): Sequence[] {
    const followed = this.#void.reaches(batch);
    for (const snapshot of this.#void.note(batch, () => true)) this.#room.forget(snapshot);
    const pages = error instanceof StepError ? error.pages : null;
    const waiting = this.#waiting(batch.shares);
    if (isLost(error)) return this.#beginAnew(waiting);
    if (!followed && (pages === null || !this.#learn(pages, batch.step.id))) return waiting;
    this.#scheduler.preempt(waiting);
    return [];
  }

  /** What was asked of a sequence's part of a step has failed; returns the sequence if it fails with it, and does not begin anew. */
  failShare(share: Share, error: unknown): Sequence[] {
    const waiting = this.#waiting([share]);
    return isLost(error) ? this.#beginAnew(waiting) : waiting;
  }

  /** Stages have lost what was in slots and snapshots, also of steps that are under way. Returns those that fail, as that was so too often. */
  lose({ slots, snapshots }: Released): Sequence[] {
    for (const snapshot of snapshots) this.#room.forget(snapshot);
    return this.#beginAnew(this.#scheduler.inSlots(slots));
  }

  #beginAnew(sequences: readonly Sequence[]): Sequence[] {
    const hopeless = sequences.filter((sequence) => this.#countLoss(sequence) > MOST_LOSSES);
    this.#scheduler.preempt(sequences.filter((sequence) => !hopeless.includes(sequence)));
    return hopeless;
  }

  #countLoss(sequence: Sequence): number {
    const { length } = sequence;
    const last = this.#losses.get(sequence);
    const count = last?.length === length ? last.count + 1 : 1;
    this.#losses.set(sequence, { length, count });
    return count;
  }

  /** Notes that there are only so many pages; false if that was known already when the step was made. */
  #learn(pages: number, step: number): boolean {
    if (this.#room.lower(pages)) this.#learnt = this.#scheduler.steps;
    return step < this.#learnt;
  }

  #waiting(shares: readonly Share[]): Sequence[] {
    return shares.filter((share) => this.#tasks.counts(share)).map(({ sequence }) => sequence);
  }
}

/** Whether those of a step that failed may begin anew, as their stages are gone. */
export const isLost = (error: unknown): boolean => error instanceof StepError && error.lost;

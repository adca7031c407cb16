/** How threads share out the pieces of a plan, by number: words in shared memory, without locks. */
import { COUNTS, type Counts } from "./call.ts";

/** What is read together lies in one line of the cache, what is written often in a line of its own. */
const LINE = 32; // words: two lines, as they are fetched in pairs

/** The number of the run that is on; odd while the words behind it are written. */
const RUN = 0;
const [STATE, PLAN, FIRST, FIRST_COUNT] = [1, 2, 3, 4];
/** The next piece to be taken. */
const NEXT = LINE;
/** All pieces below were done. Numbers go on from run to run, and begin again behind 2^32. */
const DONE = 2 * LINE;
/** The last run that further thread 1, 2, … was called to. */
const calledTo = (thread: number): number => (2 + thread) * LINE;
/** Behind the words that threads wait on, DONE and their calls: how many sleep over it. */
const SLEEPERS = 1;

/** Words of the board of so many threads, the stage's own included. */
export const boardWords = (threads: number): number => calledTo(threads);

const [OPEN, FAILED, CLOSED] = [0, 1, 2];

/** Looks that a thread takes, 30 to 50 ns each, before it sleeps: a pause between two steps of a small model is not much longer. */
const SPINS = 1000;

/** A thread that was told to end while it sleeps does so after this time. */
const SLEEP_MILLIS = 500;

/** What runs: a plan for a step, with the number of its first piece. */
export interface Run {
  readonly plan: number;
  readonly first: number;
  readonly counts: Counts;
}

/** Whether number `a` comes before `b`. */
const before = (a: number, b: number): boolean => ((a - b) | 0) < 0;

/**
 * The words, as every thread sees them. Pieces are numbered in the order of the plan; whoever is free takes the next number, once all
 * pieces that it builds on are done. So nobody waits for a thread that sleeps or is not given a processor, unless it has taken a piece.
 */
export class Tickets {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  get open(): boolean {
    return Atomics.load(this.#words, STATE) === OPEN;
  }

  get next(): number {
    return Atomics.load(this.#words, NEXT);
  }

  /** Takes piece `number`, unless another thread has. */
  take(number: number): boolean {
    return Atomics.compareExchange(this.#words, NEXT, number, (number + 1) | 0) === number;
  }

  /** Tells that a piece is done, and how many now are. */
  finish(): number {
    return Atomics.add(this.#words, DONE, 1) + 1;
  }

  /** Wakes those who sleep until more is done. */
  rouse(): void {
    this.#wake(DONE);
  }

  /** Waits until all pieces below `number` are done; false if they never will be. */
  wait(number: number): boolean {
    return this.#reached(number) || this.#waitOn(DONE, () => this.#reached(number));
  }

  #reached(number: number): boolean {
    return !before(Atomics.load(this.#words, DONE), number);
  }

  /**
   * What runs once `thread` is called to a run behind number `last`, with its own number; null when there will be none. A thread that is
   * late may come to a run that it was not called to, where it finds less to do.
   */
  nextRun(thread: number, last: number): (Run & { readonly number: number }) | null {
    const words = this.#words;
    const call = calledTo(thread);
    while (this.#waitOn(call, () => before(last, Atomics.load(words, call)))) {
      const number = Atomics.load(words, RUN);
      const counts = COUNTS.map((_, i) => Atomics.load(words, FIRST_COUNT + i));
      const run = { number, plan: Atomics.load(words, PLAN), first: Atomics.load(words, FIRST), counts };
      if ((number & 1) === 0 && Atomics.load(words, RUN) === number) return run; // or else another one has begun meanwhile
    }
    return null;
  }

  /** Begins a run of so many threads, when the one before is over. */
  begin(plan: number, counts: Counts, threads: number): Run {
    const words = this.#words;
    const first = this.next;
    Atomics.add(words, RUN, 1);
    Atomics.store(words, PLAN, plan);
    Atomics.store(words, FIRST, first);
    counts.forEach((count, i) => Atomics.store(words, FIRST_COUNT + i, count));
    const number = Atomics.add(words, RUN, 1) + 1;
    for (let thread = 1; thread < threads; thread++) {
      Atomics.store(words, calledTo(thread), number);
      this.#wake(calledTo(thread));
    }
    return { plan, first, counts };
  }

  /** Ends all that wait, for a thread has failed. */
  fail(): void {
    this.#end(FAILED);
  }

  /** Lets the other threads go. */
  close(): void {
    this.#end(CLOSED);
  }

  /** Changes the words that others wait on, so that none goes to sleep over it. */
  #end(state: number): void {
    if (Atomics.compareExchange(this.#words, STATE, OPEN, state) !== OPEN) return;
    for (let word = DONE; word < this.#words.length; word += LINE) {
      Atomics.sub(this.#words, word, 1 << 30);
      Atomics.notify(this.#words, word);
    }
  }

  #wake(word: number): void {
    if (Atomics.load(this.#words, word + SLEEPERS) > 0) Atomics.notify(this.#words, word);
  }

  /** Waits until `isOver`, which depends on `word` alone; false if the threads are done for before. */
  #waitOn(word: number, isOver: () => boolean): boolean {
    const words = this.#words;
    for (let spins = 0;; spins++) {
      const seen = Atomics.load(words, word);
      if (!this.open) return false;
      if (isOver()) return true;
      if (spins < SPINS) {
        Atomics.pause();
        continue;
      }
      Atomics.add(words, word + SLEEPERS, 1);
      Atomics.wait(words, word, seen, SLEEP_MILLIS);
      Atomics.sub(words, word + SLEEPERS, 1);
    }
  }
}

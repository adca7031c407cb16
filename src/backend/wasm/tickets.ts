/** The board by which threads share out the pieces of a program: words in shared memory that kernels_threads.h reads and writes, too. */
import type { Ptr } from "../../../wasm/memory.ts";

/** What is read together lies in one line of the cache, what is written often in a line of its own. */
const LINE = 32; // words: two lines, as they are fetched in pairs

/** The number of the run that is on; odd while what threads read of it is written. */
const RUN = 0;
const [STATE, PROGRAM] = [1, 2];

/** Words of a thread, behind the line that all read. */
const EACH = 3 * LINE;
/** How many pieces of a thread were taken, by whomever. Numbers go on from run to run, and begin again behind 2^32. */
export const takenOf = (thread: number): number => thread * EACH + LINE;
/** How many of them were done. */
const doneOf = (thread: number): number => thread * EACH + 2 * LINE;
/** The last run that a thread was called to. */
export const calledTo = (thread: number): number => thread * EACH + 3 * LINE;
/** Behind the words that threads wait on, those of pieces done and of calls: how many sleep over it. */
const SLEEPERS = 1;

/** Words of the board of so many threads, the stage's own included. */
export const boardWords = (threads: number): number => threads * EACH + LINE;

const [OPEN, FAILED, CLOSED] = [0, 1, 2];

/** Tells how many pieces of a thread were done. */
type Done = (thread: number) => number;

/**
 * The words, as the stage's own thread changes them. Each thread has pieces of its own, the same in every step of as many rows, so that it finds
 * weights in its own cache; and who waits takes what others have not begun. So nobody waits for a thread that sleeps or is not given a
 * processor, unless it has taken a piece.
 */
export class Tickets {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  get open(): boolean {
    return Atomics.load(this.#words, STATE) === OPEN;
  }

  /** Begins a run, when the one before is over, and tells its number: `write` may change the program, and tells for how many threads it has work. */
  begin(program: Ptr<"u32">, write: (done: Done) => number): number {
    const words = this.#words;
    Atomics.add(words, RUN, 1);
    const threads = write((thread) => Atomics.load(words, doneOf(thread)));
    Atomics.store(words, PROGRAM, program);
    const run = Atomics.add(words, RUN, 1) + 1;
    for (let thread = 1; thread < threads; thread++) this.#call(thread, run);
    return run;
  }

  #call(thread: number, run: number): void {
    const word = calledTo(thread);
    Atomics.store(this.#words, word, run);
    if (Atomics.load(this.#words, word + SLEEPERS) > 0) Atomics.notify(this.#words, word);
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
    for (let thread = 0; calledTo(thread) < this.#words.length; thread++) {
      for (const word of [doneOf(thread), calledTo(thread)]) {
        Atomics.sub(this.#words, word, 1 << 30);
        Atomics.notify(this.#words, word);
      }
    }
  }
}

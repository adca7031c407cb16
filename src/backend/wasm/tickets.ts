/** The board by which threads share out the pieces of a program: words in shared memory that kernels_threads.h reads and writes, too. */
import type { Ptr } from "../../../wasm/memory.ts";

/** What is read together lies in one line of the cache, what is written often in a line of its own. */
const LINE = 32; // words: two lines, as they are fetched in pairs

/** The number of the run that is on; odd while what threads read of it is written. */
const RUN = 0;
const [STATE, PROGRAM, FIRST] = [1, 2, 3];
/** The next piece to be taken. */
export const NEXT = LINE;
/** How many pieces were done. Numbers go on from run to run, and begin again behind 2^32. */
const DONE = 2 * LINE;
/** The last run that further thread 1, 2, … was called to. */
export const calledTo = (thread: number): number => (2 + thread) * LINE;
/** Behind the words that threads wait on, DONE and their calls: how many sleep over it. */
const SLEEPERS = 1;

/** Words of the board of so many threads, the stage's own included. */
export const boardWords = (threads: number): number => calledTo(threads);

const [OPEN, FAILED, CLOSED] = [0, 1, 2];

/** What is on. */
export interface Run {
  readonly number: number;
  /** The number of its first piece. */
  readonly first: number;
}

/**
 * The words, as the stage's own thread changes them. Pieces are numbered in the order of the program; whoever is free takes the next number,
 * once all pieces that it builds on are done. So nobody waits for a thread that sleeps or is not given a processor, unless it has taken a piece.
 */
export class Tickets {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  get open(): boolean {
    return Atomics.load(this.#words, STATE) === OPEN;
  }

  /** Begins a run, when the one before is over: `write` may change the program, and tells for how many threads it has work. */
  begin(program: Ptr<"u32">, write: () => number): Run {
    const words = this.#words;
    const first = Atomics.load(words, NEXT);
    Atomics.add(words, RUN, 1);
    const threads = write();
    Atomics.store(words, PROGRAM, program);
    Atomics.store(words, FIRST, first);
    const number = Atomics.add(words, RUN, 1) + 1;
    for (let thread = 1; thread < threads; thread++) this.#call(thread, number);
    return { number, first };
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
    for (let word = DONE; word < this.#words.length; word += LINE) {
      Atomics.sub(this.#words, word, 1 << 30);
      Atomics.notify(this.#words, word);
    }
  }
}

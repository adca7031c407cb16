/** Calls that follow each other as threads read them in shared memory: the words of kernels_threads.h. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import { KERNELS } from "../../../wasm/kernels_calls.ts";
import type { Memory, Ptr } from "../../../wasm/memory.ts";
import { type Call, COUNTS, type Counts, type Cut, lengthOf, threadsFor } from "./call.ts";
import { type Group, groupsOf, ownPieces } from "./tasks.ts";

/** groups, threads, and where the others are: calls, the groups' first tasks, pieces before each group, pieces before the run */
const [GROUPS, THREADS, CALLS, FIRST, BEFORE, BEGUN] = [0, 1, 2, 3, 4, 5];
const HEAD_WORDS = 8;

/** from, calls, pieces, and none */
const TASK_WORDS = 4;

/** kernel, length, grain, begin, end, own, own bytes; then the arguments, the last of which takes what has no place among them. */
const [LENGTH, ARGUMENTS] = [1, 8];
const MOST_ARGUMENTS = 16;
const CALL_WORDS = ARGUMENTS + MOST_ARGUMENTS;

export class Program {
  readonly at: Ptr<"u32">;
  readonly #memory: Memory<KernelsExports>;
  readonly #calls: readonly Call[];
  readonly #cut: Cut;
  /** Where its parts begin, and its end, in words. */
  readonly #parts: { readonly [Part in "calls" | "first" | "before" | "begun" | "end"]: number };
  #counts: Counts = [];
  #threads = 1;

  constructor(memory: Memory<KernelsExports>, calls: readonly Call[], cut: Cut) {
    this.#memory = memory;
    this.#calls = calls;
    this.#cut = cut;
    const callsAt = HEAD_WORDS + calls.length * TASK_WORDS;
    const first = callsAt + calls.length * CALL_WORDS;
    const before = first + calls.length;
    const begun = before + (calls.length + 1) * cut.threads;
    this.#parts = { calls: callsAt, first, before, begun, end: begun + cut.threads };
    this.at = memory.alloc("u32", this.#parts.end);
    const words = this.#words();
    const pointers = { [CALLS]: callsAt, [FIRST]: first, [BEFORE]: before, [BEGUN]: begun };
    for (const [word, at] of Object.entries(pointers)) words[Number(word)] = this.at + 4 * at;
    calls.forEach((call, i) => writeCall(call, words.subarray(callsAt + i * CALL_WORDS)));
  }

  /**
   * Cuts it for a step, while no thread goes through it, and tells for how many threads it has work; `done` tells how many pieces of a thread
   * were done in all runs before.
   */
  cut(counts: Counts, done: (thread: number) => number): number {
    if (this.#counts.length === 0 || counts.some((count, i) => count !== this.#counts[i])) this.#write(counts);
    const words = this.#words();
    for (let thread = 0; thread < this.#threads; thread++) words[this.#parts.begun + thread] = done(thread);
    return this.#threads;
  }

  #write(counts: Counts): void {
    this.#counts = counts;
    this.#threads = threadsFor(this.#calls.map(({ range }) => range), counts, this.#cut);
    const groups = groupsOf(this.#calls, counts, { ...this.#cut, threads: this.#threads });
    const words = this.#words();
    this.#calls.forEach((call, i) => writeCounts(call, counts, words.subarray(this.#parts.calls + i * CALL_WORDS)));
    words[GROUPS] = groups.length;
    words[THREADS] = this.#threads;
    words.set(groups.flat().flatMap(({ from, calls, pieces }) => [from, calls, pieces, 0]), HEAD_WORDS);
    this.#writeGroups(groups, words);
  }

  #writeGroups(groups: readonly Group[], words: Uint32Array): void {
    const { first, before } = this.#parts;
    const threads = this.#threads;
    let tasks = 0;
    words.fill(0, before, before + threads);
    groups.forEach((group, i) => {
      words[first + i] = tasks;
      tasks += group.length;
      for (let thread = 0; thread < threads; thread++) {
        const at = before + i * threads + thread;
        words[at + threads] = words[at]! + ownPieces(group, thread, threads);
      }
    });
  }

  #words(): Uint32Array {
    return this.#memory.view("u32", this.at, this.#parts.end);
  }
}

/** What of a call is the same in all steps. */
function writeCall({ kernel, args, range }: Call, words: Uint32Array): void {
  const number = KERNELS.findIndex(({ name }) => name === kernel);
  const floats: readonly number[] = KERNELS[number]!.floats;
  const place = (at: number) => at < 0 ? MOST_ARGUMENTS - 1 : at;
  const own = args.findIndex((arg) => typeof arg === "object");
  const scratch = args[own];
  const [begin, end] = [args.indexOf("begin"), args.indexOf("end")].map(place);
  words.set([number, 0, range.grain, begin!, end!, place(own), typeof scratch === "object" ? scratch.bytes : 0]);
  const values = new Float32Array(words.buffer, words.byteOffset + 4 * ARGUMENTS, MOST_ARGUMENTS);
  args.forEach((arg, i) => {
    const value = typeof arg === "object" ? arg.own : typeof arg === "number" ? arg : 0;
    if (floats.includes(i)) values[i] = value;
    else words[ARGUMENTS + i] = value;
  });
}

/** What a step has of it. */
function writeCounts({ args, range }: Call, counts: Counts, words: Uint32Array): void {
  words[LENGTH] = lengthOf(range, counts);
  args.forEach((arg, i) => {
    const count = COUNTS.findIndex((name) => name === arg);
    if (count >= 0) words[ARGUMENTS + i] = counts[count]!;
  });
}

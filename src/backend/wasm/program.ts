/** Calls that follow each other as threads read them in shared memory: the words of kernels_threads.h. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import { KERNELS } from "../../../wasm/kernels_calls.ts";
import type { Memory, Ptr } from "../../../wasm/memory.ts";
import { type Call, COUNTS, type Counts, type Cut, lengthOf, threadsFor } from "./call.ts";
import { isWhole, type Task, tasksOf, totalOf } from "./tasks.ts";

/** The number of tasks, and where the calls are. */
const [TASKS, CALLS] = [0, 1];
const HEAD_WORDS = 4;

/** first, pieces, gate, until, rouses, from, calls */
const TASK_WORDS = 8;

/** kernel, length, grain, begin, end, own, own bytes; then the arguments, the last of which takes what has no place among them. */
const [LENGTH, ARGUMENTS] = [1, 8];
const MOST_ARGUMENTS = 16;
const CALL_WORDS = ARGUMENTS + MOST_ARGUMENTS;

export class Program {
  readonly at: Ptr<"u32">;
  readonly #memory: Memory<KernelsExports>;
  readonly #calls: readonly Call[];
  readonly #cut: Cut;
  #counts: Counts = [];
  #tasks: readonly Task[] = [];
  #threads = 1;

  constructor(memory: Memory<KernelsExports>, calls: readonly Call[], cut: Cut) {
    this.#memory = memory;
    this.#calls = calls;
    this.#cut = cut;
    this.at = memory.alloc("u32", HEAD_WORDS + calls.length * (TASK_WORDS + CALL_WORDS));
    const words = this.#words();
    words[CALLS] = this.at + 4 * this.#callsAt;
    calls.forEach((call, i) => writeCall(call, words.subarray(this.#callsAt + i * CALL_WORDS)));
  }

  /** How many pieces it is cut into. */
  get pieces(): number {
    return totalOf(this.#tasks);
  }

  /** Cuts it for a step, while no thread goes through it, and tells for how many threads it has work. */
  cut(counts: Counts): number {
    if (this.#counts.length === 0 || counts.some((count, i) => count !== this.#counts[i])) this.#write(counts);
    return this.#threads;
  }

  #write(counts: Counts): void {
    this.#counts = counts;
    this.#threads = threadsFor(this.#calls.map(({ range }) => range), counts, this.#cut);
    this.#tasks = tasksOf(this.#calls, counts, { ...this.#cut, threads: this.#threads });
    const words = this.#words();
    this.#calls.forEach((call, i) => writeCounts(call, counts, words.subarray(this.#callsAt + i * CALL_WORDS)));
    words[TASKS] = this.#tasks.length;
    words.set(taskWords(this.#tasks), HEAD_WORDS);
  }

  get #callsAt(): number {
    return HEAD_WORDS + this.#calls.length * TASK_WORDS;
  }

  #words(): Uint32Array {
    return this.#memory.view("u32", this.at, HEAD_WORDS + this.#calls.length * (TASK_WORDS + CALL_WORDS));
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

/** When a task and all beside it are done, threads that sleep are roused where several may go on, or the stage's own. */
function taskWords(tasks: readonly Task[]): number[] {
  const total = totalOf(tasks);
  const groups = Map.groupBy(tasks, ({ gate }) => gate);
  const isWorth = (gate: number) => gate === total || groups.get(gate)!.length > 1 || !isWhole(groups.get(gate)![0]!);
  return [...groups.values()].flatMap((group) => {
    const until = totalOf(group);
    const rouses = Number(isWorth(until));
    return group.flatMap((
      { first, pieces, gate, from, calls },
    ) => [first, pieces, gate, until, rouses, from, calls, 0]);
  });
}

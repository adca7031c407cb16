/** A plan as one thread goes through it: its calls, cut into pieces as all threads cut them, and taken piece by piece. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import { BoundCall } from "./bound_call.ts";
import { type Counts, type Cut, type PlannedCall, type Range, threadsFor } from "./call.ts";
import type { Run, Tickets } from "./tickets.ts";

/** Which of the threads that share a plan this is, and how they cut it. */
export interface Place extends Cut {
  readonly index: number;
}

/** What only the stage's own thread does; null in the others. */
type OwnWork = (() => void) | null;

/** A call that is cut, or several that follow each other as one piece. */
interface Task {
  readonly calls: (BoundCall | OwnWork)[];
  readonly pieces: number;
  /** The number of its first piece, counted from the run's first. */
  readonly first: number;
  /** How many pieces must be done before it. */
  readonly gate: number;
}

/** A plan of one thread. */
export class Walk {
  readonly #calls: readonly { readonly call: BoundCall | OwnWork; readonly beside: boolean }[];
  readonly #ranges: readonly Range[];
  readonly #place: Place;
  #tasks: Task[] = [];
  /** Gates behind which there is work for several threads, or for the stage's own. */
  #calling = new Set<number>();
  #counts: Counts = [];
  #threads = 1;

  /** `own` does in its turn what only this thread can; empty for threads that cannot. */
  constructor(calls: readonly PlannedCall[], own: readonly (() => void)[], kernels: KernelsExports, place: Place) {
    const todo = own.values();
    this.#calls = calls.map((call) => ({
      call: call.kernel === null ? todo.next().value ?? null : new BoundCall(call, kernels, place.index),
      beside: call.beside,
    }));
    this.#ranges = calls.flatMap((call) => call.kernel === null ? [] : [call.range]);
    this.#place = place;
  }

  /** Cuts the calls for a step, and tells how many threads it has work for. */
  cut(counts: Counts): number {
    if (this.#counts.length === 0 || counts.some((count, i) => count !== this.#counts[i])) this.#cut(counts);
    return this.#threads;
  }

  /** Makes all calls, where none is cut. */
  alone(): void {
    for (const { calls } of this.#tasks) make(calls, 0);
  }

  /** Makes calls beside other threads until none is left to be taken; false if they failed. */
  share({ first }: Run, tickets: Tickets): boolean {
    const tasks = this.#tasks;
    for (let t = 0;;) {
      const number = tickets.next;
      const at = (number - first) | 0;
      while (t < tasks.length && tasks[t]!.first + tasks[t]!.pieces <= at) t++;
      if (at < 0 || t === tasks.length) return tickets.open;
      const { calls, gate, first: begin } = tasks[t]!;
      if (!tickets.wait((first + gate) | 0)) return false;
      if (calls[0] === null) {
        if (!tickets.wait((number + 1) | 0)) return false;
      } else if (tickets.take(number)) {
        make(calls, at - begin);
        const done = tickets.finish();
        if (this.#calling.has((done - first) | 0)) tickets.rouse();
      }
    }
  }

  /** The number behind a run's last piece. */
  end({ first }: Run): number {
    return (first + this.#total) | 0;
  }

  #cut(counts: Counts): void {
    this.#counts = counts;
    this.#tasks = [];
    this.#threads = threadsFor(this.#ranges, counts, this.#place);
    for (const { call, beside } of this.#calls) this.#add(call, beside, counts);
    const gates = Map.groupBy(this.#tasks, ({ gate }) => gate);
    const calling = gates.entries().filter(([, tasks]) => tasks.length > 1 || !isWhole(tasks[0]!));
    this.#calling = new Set([...calling.map(([gate]) => gate), this.#total]);
  }

  /** Small calls that follow each other become one task: to hand over each would take longer. */
  #add(call: BoundCall | OwnWork, beside: boolean, counts: Counts): void {
    const pieces = call instanceof BoundCall ? call.set(counts, { ...this.#place, threads: this.#threads }) : 1;
    const [last, first] = [this.#tasks.at(-1), this.#total];
    const parallel = beside && last?.calls.length === 1;
    const follows = !parallel && pieces === 1 && call instanceof BoundCall;
    if (follows && last !== undefined && isWhole(last)) last.calls.push(call);
    else this.#tasks.push({ calls: [call], pieces, first, gate: parallel ? last.gate : first });
  }

  get #total(): number {
    const last = this.#tasks.at(-1);
    return last === undefined ? 0 : last.first + last.pieces;
  }
}

/** Whether a task is one piece, for any thread, and comes behind all others. */
const isWhole = ({ calls, pieces, first, gate }: Task) =>
  pieces === 1 && first === gate && calls[0] instanceof BoundCall;

function make(calls: readonly (BoundCall | OwnWork)[], piece: number): void {
  for (const call of calls) call instanceof BoundCall ? call.make(piece) : call!();
}

/** The threads of a stage: they share its memory, get each plan once, and go through it together with the stage's own thread. */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { KernelsExports } from "../../../wasm/kernels.ts";
import type { Memory, Shared } from "../../../wasm/memory.ts";
import { DeviceLostError } from "../backend.ts";
import type { Counts, Cut, PlannedCall } from "./call.ts";
import { boardWords, type Run, Tickets } from "./tickets.ts";
import { type Place, Walk } from "./walk.ts";

/** Stage → thread, once. */
export interface Joining extends Shared, Place {
  /** Where the board is, in bytes. */
  readonly board: number;
}

/** Stage → thread: a plan by its number, which is one more than the last one's. */
export type SharedPlan = readonly PlannedCall[];

/** A plan that the threads know. */
export interface ThreadsPlan {
  readonly number: number;
  readonly walk: Walk;
}

/** The stage's own thread and those behind `ports`, if there are any. */
export class Threads implements Disposable {
  readonly #kernels: KernelsExports;
  readonly #ports: readonly MessagePort[];
  readonly #place: Place;
  readonly #tickets: Tickets | null;
  #plans = 0;

  constructor(
    memory: Memory<KernelsExports>,
    kernels: KernelsExports,
    ports: readonly MessagePort[],
    leastWork: number,
  ) {
    this.#kernels = kernels;
    this.#ports = ports;
    this.#place = { index: 0, threads: ports.length + 1, leastWork };
    this.#tickets = ports.length === 0 ? null : joined(memory, ports, this.#place);
  }

  /** How many there are. */
  get count(): number {
    return this.#place.threads;
  }

  /** Hands out a plan. `own` are the calls that only this thread can make, in their order. */
  plan(calls: readonly PlannedCall[], own: readonly (() => void)[]): ThreadsPlan {
    for (const port of this.#ports) port.postMessage(calls satisfies SharedPlan);
    return { number: this.#plans++, walk: new Walk(calls, own, this.#kernels, this.#place) };
  }

  /** Goes through a plan once. Throws DeviceLostError if a thread failed, now or before. */
  run({ number, walk }: ThreadsPlan, counts: Counts): void {
    if (this.#tickets?.open === false) throw new DeviceLostError(`A thread of the CPU failed: ${this.#reason()}`);
    const threads = walk.cut(counts);
    if (this.#tickets === null || threads === 1) walk.alone();
    else this.#runShared(this.#tickets, walk, this.#tickets.begin(number, counts, threads));
  }

  #runShared(tickets: Tickets, walk: Walk, run: Run): void {
    try {
      if (walk.share(run, tickets) && tickets.wait(walk.end(run))) return;
    } catch (error) {
      tickets.fail();
      throw new DeviceLostError(`A thread of the CPU failed: ${error instanceof Error ? error.message : error}`);
    }
    throw new DeviceLostError(`A thread of the CPU failed: ${this.#reason()}`);
  }

  /** What a thread that failed had to say. */
  #reason(): string {
    const words = this.#ports.map((port) => receiveMessageOnPort(port)?.message as string | undefined);
    return words.find((word) => word !== undefined) ?? "it failed in a step before";
  }

  /** Lets the threads go. */
  [Symbol.dispose](): void {
    this.#tickets?.close();
    for (const port of this.#ports) port.close();
  }
}

/** Lets the threads behind `ports` into the memory. */
function joined(memory: Memory<KernelsExports>, ports: readonly MessagePort[], cut: Cut): Tickets {
  const words = boardWords(cut.threads);
  const board = memory.alloc("i32", words);
  ports.forEach((port, i) => {
    const joining: Joining = { ...memory.share(), board, ...cut, index: i + 1 };
    port.postMessage(joining);
  });
  return new Tickets(memory.view("i32", board, words));
}

/** The threads of a stage: they share its memory, and go through each plan together with the stage's own thread. */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { KernelsExports } from "../../../wasm/kernels.ts";
import type { Memory, Ptr, Shared } from "../../../wasm/memory.ts";
import { DeviceLostError } from "../backend.ts";
import { BoundCall } from "./bound_call.ts";
import type { Call, Counts, Cut, OwnWork, PlannedCall } from "./call.ts";
import { Program } from "./program.ts";
import { boardWords, Tickets } from "./tickets.ts";

/** Stage → thread, once. */
export interface Joining extends Shared {
  /** Where the board is. */
  readonly board: Ptr<"u32">;
  /** Which of the threads it is, and how many there are; the stage's own is the first. */
  readonly index: number;
  readonly threads: number;
}

/** What of a plan is done one after the other: what only the stage's thread can do, and what all share or, where there are no others, it does alone. */
export type ThreadsPlan = readonly (OwnWork | Program | readonly BoundCall[])[];

/** The stage's own thread and those behind `ports`, if there are any. */
export class Threads implements Disposable {
  readonly #memory: Memory<KernelsExports>;
  readonly #kernels: KernelsExports;
  readonly #ports: readonly MessagePort[];
  readonly #cut: Cut;
  readonly #board: Ptr<"u32">;
  readonly #tickets: Tickets;

  constructor(
    memory: Memory<KernelsExports>,
    kernels: KernelsExports,
    ports: readonly MessagePort[],
    leastWork: number,
  ) {
    const threads = ports.length + 1;
    this.#memory = memory;
    this.#kernels = kernels;
    this.#ports = ports;
    this.#cut = { threads, leastWork };
    this.#board = memory.alloc("u32", boardWords(threads));
    this.#tickets = new Tickets(memory.view("i32", this.#board as number as Ptr<"i32">, boardWords(threads)));
    ports.forEach((port, i) => {
      port.postMessage({ ...memory.share(), board: this.#board, index: i + 1, threads } satisfies Joining);
    });
  }

  /** How many there are. */
  get count(): number {
    return this.#cut.threads;
  }

  /** Makes a plan of what is to be done. */
  plan(calls: readonly PlannedCall[]): ThreadsPlan {
    const parts: (OwnWork | Call[])[] = [];
    for (const call of calls) {
      const last = parts.at(-1);
      if (typeof call === "function") parts.push(call);
      else if (Array.isArray(last)) last.push(call);
      else parts.push([call]);
    }
    return parts.map((part) => {
      if (typeof part === "function") return part;
      if (this.count === 1) return part.map((call) => new BoundCall(call, this.#kernels));
      return new Program(this.#memory, part, this.#cut);
    });
  }

  /** Goes through a plan once. Throws DeviceLostError if a thread failed, now or before. */
  run(plan: ThreadsPlan, counts: Counts): void {
    if (!this.#tickets.open) throw new DeviceLostError(`A thread of the CPU failed: ${this.#reason()}`);
    for (const part of plan) {
      if (typeof part === "function") part();
      else if (part instanceof Program) this.#share(part, counts);
      else for (const call of part) call.make(counts);
    }
  }

  #share(program: Program, counts: Counts): void {
    const run = this.#tickets.begin(program.at, (done) => program.cut(counts, done));
    try {
      const [kernels, board] = [this.#kernels, this.#board];
      if (kernels.share(board, program.at, run, 0) && kernels.wait_done(board, program.at, run)) return;
    } catch (error) {
      this.#tickets.fail();
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
    this.#tickets.close();
    for (const port of this.#ports) port.close();
  }
}

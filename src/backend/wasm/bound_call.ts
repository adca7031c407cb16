/** A call as one thread makes it all by itself. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import { type Call, COUNTS, type Counts, lengthOf, type Range } from "./call.ts";

type Kernel = (...args: number[]) => void;

export class BoundCall {
  readonly #kernel: Kernel;
  readonly #args: number[];
  readonly #range: Range;
  /** Where in the arguments a step's counts and the end of the range belong; its beginning is 0. */
  readonly #counts: readonly (readonly [at: number, count: number])[];
  readonly #end: number;

  constructor({ kernel, args, range }: Call, kernels: KernelsExports) {
    this.#kernel = kernels[kernel] as unknown as Kernel;
    this.#range = range;
    this.#args = args.map((arg) => typeof arg === "object" ? arg.own : typeof arg === "number" ? arg : 0);
    this.#counts = args.flatMap((arg, at) =>
      COUNTS.flatMap((name, count) => name === arg ? [[at, count] as const] : [])
    );
    this.#end = args.indexOf("end");
  }

  /** Makes the call for what the step has. */
  make(counts: Counts): void {
    const length = lengthOf(this.#range, counts);
    if (length === 0) return;
    for (const [at, count] of this.#counts) this.#args[at] = counts[count]!;
    this.#args[this.#end] = length;
    this.#kernel(...this.#args);
  }
}

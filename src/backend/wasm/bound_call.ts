/** A call with one thread's kernels and scratch. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import { type Call, COUNTS, type Counts, type Cut, lengthOf, piecesOf, type Range } from "./call.ts";

type Kernel = (...args: number[]) => void;

export class BoundCall {
  readonly #kernel: Kernel;
  readonly #args: number[];
  readonly #range: Range;
  /** Where in the arguments a step's counts and the ends of a piece belong. */
  readonly #counts: readonly (readonly [at: number, count: number])[];
  readonly #begin: number;
  readonly #end: number;
  #length = 0;
  #pieces = 1;

  constructor({ kernel, args, range }: Call, kernels: KernelsExports, index: number) {
    this.#kernel = kernels[kernel] as unknown as Kernel;
    this.#range = range;
    this.#args = args.map((arg) =>
      typeof arg === "object" ? arg.own + index * arg.bytes : typeof arg === "number" ? arg : 0
    );
    this.#counts = args.flatMap((arg, at) =>
      COUNTS.flatMap((name, count) => name === arg ? [[at, count] as const] : [])
    );
    [this.#begin, this.#end] = [args.indexOf("begin"), args.indexOf("end")];
  }

  /** Reads what the step has, and tells into how many pieces the call is cut. */
  set(counts: Counts, cut: Cut): number {
    for (const [at, count] of this.#counts) this.#args[at] = counts[count]!;
    this.#length = lengthOf(this.#range, counts);
    return this.#pieces = piecesOf(this.#range, counts, cut);
  }

  /** Makes one piece of the call. */
  make(piece: number): void {
    if (this.#length === 0) return;
    if (this.#begin >= 0) this.#args[this.#begin] = this.#edge(piece); // a call that is never cut may have no beginning
    this.#args[this.#end] = this.#edge(piece + 1);
    this.#kernel(...this.#args);
  }

  #edge(piece: number): number {
    if (piece === this.#pieces) return this.#length;
    return Math.floor(this.#length * piece / this.#pieces / this.#range.grain) * this.#range.grain;
  }
}

/** Memory for what lives only within a step: one piece a purpose, shared by all plans as only one runs at a time. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import type { Elem, Memory, Ptr } from "../../../wasm/memory.ts";
import type { Own } from "./call.ts";

/** Pieces of different threads share no line of a cache. */
const LINE_BYTES = 128;

/** Pieces by name. A plan that needs a larger one gets a new piece; plans recorded before keep theirs. */
export class Scratch {
  readonly #memory: Memory<KernelsExports>;
  readonly #threads: number;
  readonly #pieces = new Map<string, { readonly count: number; readonly ptr: Ptr<Elem> }>();

  constructor(memory: Memory<KernelsExports>, threads: number) {
    this.#memory = memory;
    this.#threads = threads;
  }

  /** One for each thread, with at least `count` elements of 4 bytes. */
  own<E extends "f32" | "u32">(name: string, elem: E, count: number): Own<E> {
    const bytes = Math.ceil(4 * count / LINE_BYTES) * LINE_BYTES;
    return { own: this.get(name, elem, this.#threads * bytes / 4), bytes };
  }

  /** The piece of that name with at least `count` elements. */
  get<E extends "f32" | "f64" | "u32">(name: string, elem: E, count: number): Ptr<E> {
    const known = this.#pieces.get(name);
    if (known !== undefined && known.count >= count) return known.ptr as Ptr<E>;
    const ptr = this.#memory.alloc(elem, count);
    this.#pieces.set(name, { count, ptr });
    return ptr;
  }
}

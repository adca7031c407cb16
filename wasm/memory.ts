/** A WASM module's linear memory: a bump arena of aligned allocations, typed views and branded pointers; and how threads share it. */

import { checkMachine } from "./requirements.ts";

/** Element types that a pointer in a C header may have. */
export type Elem = "f32" | "f64" | "u8" | "i8" | "u16" | "i16" | "u32" | "i32";

/** An address in linear memory that points to elements of type `E`; a plain number is not accepted for it. */
export type Ptr<E extends Elem> = number & { readonly __elem: E };

const VIEWS = {
  f32: Float32Array,
  f64: Float64Array,
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
} as const;

/** The view type of an element type: `View<"f32">` is a `Float32Array`. */
export type View<E extends Elem> = InstanceType<(typeof VIEWS)[E]>;

type ViewConstructor<E extends Elem> = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => View<E>;

const PAGE = 65536;
const MAX_PAGES = 65536;
/** All that a 32-bit memory can address: 4 GiB. */
export const MAX_BYTES = MAX_PAGES * PAGE;
const ALIGN = 16; // one SIMD register
const INITIAL_PAGES = 32; // -sINITIAL_MEMORY of build.ts

/** What every module built by `wasm/build.ts` exports besides its kernels. */
export interface ModuleExports {
  readonly __heap_base: WebAssembly.Global;
  /** Where the stack goes on, downwards. */
  readonly stackRestore: (top: number) => void;
}

/** What another thread needs to compute in a shared memory: its module, and the top of a stack of its own. */
export interface Shared {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly stackTop: number;
}

/** -sTOTAL_STACK of build.ts. */
const STACK_BYTES = 262144;

/** The functions of a module in another thread's memory. */
export function join<X extends ModuleExports>({ module, memory, stackTop }: Shared): X {
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as X;
  exports.stackRestore(stackTop);
  return exports;
}

/** A memory has no room for so many bytes more: it ends, or the computer gives it no more. */
export class MemoryFullError extends RangeError {
  override readonly name = "MemoryFullError";

  constructor(readonly bytes: number, why: string) {
    super(`Cannot allocate ${bytes} bytes: ${why}`);
  }
}

/** Linear memory of one module. Allocations live as long as the arena; `mark` and `release` free in stack order. */
export class Memory<X extends ModuleExports> {
  readonly kernels: X;
  readonly #module: WebAssembly.Module;
  readonly #memory: WebAssembly.Memory;
  #top: number;
  #used: number; // the highest top so far: all behind it is zero

  private constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, readonly maxBytes: number, kernels: X) {
    this.#module = module;
    this.#memory = memory;
    this.kernels = kernels;
    this.#top = this.#used = Number(kernels.__heap_base.value);
  }

  /**
   * Instantiates the module at `url` in a memory of at most `maxBytes`; `shared` is as it was built.
   * @throws {MemoryFullError} if the process may not have so much address space
   * @throws {TypeError} if the machine has not what the module needs
   */
  static async load<X extends ModuleExports>(url: URL, shared = false, maxBytes = MAX_BYTES): Promise<Memory<X>> {
    checkMachine(shared);
    const memory = reserved({ initial: INITIAL_PAGES, maximum: Math.floor(maxBytes / PAGE), shared });
    const { module, instance } = await WebAssembly.instantiateStreaming(fetch(url), { env: { memory } });
    return new Memory(module, memory, maxBytes, instance.exports as unknown as X);
  }

  /** For one more thread, with a stack that is allocated here. Only of a shared memory. */
  share(): Shared {
    const stackTop = this.alloc("u8", STACK_BYTES) + STACK_BYTES;
    return { module: this.#module, memory: this.#memory, stackTop };
  }

  /** Bytes allocated so far, the module's own data included. */
  get bytes(): number {
    return this.#top;
  }

  /** `count` zeroed elements. Throws MemoryFullError when the memory is used up, or cannot grow. */
  alloc<E extends Elem>(elem: E, count: number): Ptr<E> {
    const start = Math.ceil(this.#top / ALIGN) * ALIGN;
    const end = start + count * VIEWS[elem].BYTES_PER_ELEMENT;
    this.#growTo(end, end - start);
    this.#top = end;
    // Memory that was never used is zero, and takes none of the computer's until it is.
    new Uint8Array(this.#memory.buffer, start, Math.max(0, Math.min(end, this.#used) - start)).fill(0);
    this.#used = Math.max(this.#used, end);
    return start as Ptr<E>;
  }

  #growTo(end: number, bytes: number): void {
    if (end > this.maxBytes) {
      throw new MemoryFullError(bytes, `a WASM memory ends at ${this.maxBytes}`);
    }
    const missing = Math.ceil(end / PAGE) - this.#memory.buffer.byteLength / PAGE;
    if (missing <= 0) return;
    try {
      this.#memory.grow(missing);
    } catch {
      throw new MemoryFullError(bytes, "the computer gives a WASM memory no more");
    }
  }

  /** A copy of `values` in linear memory. */
  copy<E extends Elem>(elem: E, values: ArrayLike<number>): Ptr<E> {
    const ptr = this.alloc(elem, values.length);
    this.view(elem, ptr, values.length).set(values);
    return ptr;
  }

  /** A view of `count` elements. Growing the memory detaches it: make it where it is used, do not keep it. */
  view<E extends Elem>(elem: E, ptr: Ptr<E>, count: number): View<E> {
    const Constructor = VIEWS[elem] as unknown as ViewConstructor<E>;
    return new Constructor(this.#memory.buffer, ptr, count);
  }

  /** The end of what is allocated, to be given to `release`. */
  mark(): number {
    return this.#top;
  }

  /** Frees everything allocated since `mark`. */
  release(mark: number): void {
    this.#top = mark;
  }
}

function reserved(limits: WebAssembly.MemoryDescriptor): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory(limits);
  } catch {
    const why = "the process may not have the address space of a WASM memory, some 10 GB; raise its limit (ulimit -v)";
    throw new MemoryFullError(PAGE * limits.initial, why);
  }
}

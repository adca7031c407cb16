/** The backend that computes on the CPU, in WASM SIMD. */
import type { MessagePort } from "node:worker_threads";
import type { KernelsExports } from "../../../wasm/kernels.ts";
import { fastestUrl } from "../../../wasm/kernels_module.ts";
import { MAX_BYTES, Memory, MemoryFullError, type Ptr } from "../../../wasm/memory.ts";
import {
  type Backend,
  type Capacity,
  type Ops,
  OutOfMemoryError,
  placesOf,
  type Plan,
  type RandomValues,
  type Read,
  rest,
  type StepInput,
  stepsOf,
} from "../backend.ts";
import {
  byteLength,
  type DataType,
  ELEMENT_BYTES,
  elements,
  sliceBytes,
  type Tensor,
  type TensorShape,
} from "../tensor.ts";
import { Bindings, pointer, WasmTensor } from "./binding.ts";
import { LEAST_WORK } from "./call.ts";
import { fill } from "./fill.ts";
import { Recorder } from "./recorder.ts";
import { Recording, type Shared } from "./recording.ts";
import { Scratch } from "./scratch.ts";
import { StepTables } from "./step_tables.ts";
import { Threads, type ThreadsPlan } from "./threads.ts";

/** Tensors begin at multiples of so many bytes. */
const ALIGN = 16;

/**
 * V8 compiles a function in earnest, in a thread of its own, once it has run for a millisecond or so, and until then it takes five times as
 * long. Products of one to five rows are different code, and so is a prompt's attention.
 */
const WARM_ROWS = [48, 1, 2, 3, 4, 5, 48, 1, 2, 3, 4, 5];

/** Of a memory of so many bytes, those that tensors may take; the others are for stacks, scratch and the tables of plans. */
export const tensorBytes = (memoryBytes: number = MAX_BYTES): number =>
  memoryBytes - Math.max(2 ** 23, memoryBytes / 32);

class WasmPlan implements Plan {
  constructor(
    readonly capacity: Capacity,
    readonly plan: ThreadsPlan,
    readonly step: StepTables,
    /** Linear states of its layers. */
    readonly states: readonly Tensor[],
  ) {}
}

/** One linear memory with all tensors, at most 4 GiB, and one thread or several that share the work. */
export class WasmBackend implements Backend {
  readonly device: string;
  readonly maxBytes: number;
  readonly onHost = true;
  readonly gpuMillis = null;
  readonly decodeRows = Infinity;
  readonly warmRows = WARM_ROWS;
  readonly pieceBytes: number;
  readonly #memory: Memory<KernelsExports>;
  readonly #shared: Shared;
  readonly #threads: Threads;
  #bytes = 0;

  /**
   * Computes in `memory` with `kernels`, which are those of its module, and with the threads behind `ports`, in pieces of at least
   * `leastWork` multiplications.
   */
  constructor(
    memory: Memory<KernelsExports>,
    kernels: KernelsExports = memory.kernels,
    ports: readonly MessagePort[] = [],
    leastWork: number = LEAST_WORK,
  ) {
    this.#memory = memory;
    this.maxBytes = this.pieceBytes = tensorBytes(memory.maxBytes);
    this.#threads = new Threads(memory, kernels, ports, leastWork);
    const { count } = this.#threads;
    this.#shared = { bindings: new Bindings(memory), scratch: new Scratch(memory, count) };
    this.device = count === 1 ? "CPU (WASM SIMD)" : `CPU (WASM SIMD, ${count} threads)`;
  }

  /** `ports` lead to the threads that work besides this one; its memory ends at `memoryBytes`. */
  static async open(
    ports: readonly MessagePort[] = [],
    leastWork: number = LEAST_WORK,
    memoryBytes: number = MAX_BYTES,
  ): Promise<WasmBackend> {
    const memory = await Memory.load<KernelsExports>(fastestUrl, true, memoryBytes);
    return new WasmBackend(memory, memory.kernels, ports, leastWork);
  }

  get bytes(): number {
    return this.#bytes;
  }

  tensor(label: string, dtype: DataType, shape: readonly number[]): Tensor {
    const bytes = elements(shape) * ELEMENT_BYTES[dtype];
    const tensor = new WasmTensor(label, dtype, shape, this.#alloc(label, bytes));
    this.#bytes += Math.ceil(bytes / ALIGN) * ALIGN;
    return tensor;
  }

  #alloc(label: string, bytes: number): Ptr<"u8"> {
    try {
      return this.#memory.alloc("u8", bytes);
    } catch {
      throw new OutOfMemoryError(label, bytes, this.device, this.#bytes);
    }
  }

  allocate(wanted: readonly TensorShape[]): Promise<Tensor[]> {
    const [mark, used] = [this.#memory.mark(), this.#bytes];
    return Promise.try(() => {
      try {
        const tensors = wanted.map(({ label, dtype, shape }) => this.tensor(label, dtype, shape));
        this.#checkReserve(wanted[0]!.label, this.#bytes - used);
        return tensors;
      } catch (error) {
        this.#memory.release(mark);
        this.#bytes = used;
        throw error;
      }
    });
  }

  #checkReserve(label: string, bytes: number): void {
    if (this.#memory.mark() > tensorBytes(this.#memory.maxBytes)) {
      throw new OutOfMemoryError(label, bytes, this.device, this.#bytes);
    }
  }

  write(tensor: Tensor, offset: number, bytes: Uint8Array): Promise<void> {
    return Promise.try(() => this.inPlace(tensor, offset, bytes.length).set(bytes));
  }

  inPlace(tensor: Tensor, offset: number, bytes: number): Uint8Array<ArrayBuffer> {
    const start = offset * ELEMENT_BYTES[tensor.dtype];
    const size = byteLength(tensor);
    if (start + bytes > size) {
      throw new RangeError(`Cannot write '${tensor.label}' up to byte ${start + bytes}: it has ${size}`);
    }
    return this.#memory.view("u8", pointer(tensor) + start as Ptr<"u8">, bytes);
  }

  fill(tensor: Tensor, values: RandomValues): Promise<void> {
    return Promise.try(() => {
      if (tensor.dtype === "u32") throw new TypeError(`Cannot fill '${tensor.label}': it holds indices`);
      fill(this.#memory.view("u8", pointer(tensor), byteLength(tensor)), tensor.dtype, values);
    });
  }

  record(capacity: Capacity, build: (ops: Ops) => void): Plan {
    try {
      const step = new StepTables(this.#memory, capacity);
      const recording = new Recording(this.#shared, capacity, step);
      build(new Recorder(recording, this.#memory));
      return new WasmPlan(capacity, this.#threads.plan(recording.calls), step, recording.states);
    } catch (error) {
      if (!(error instanceof MemoryFullError)) throw error;
      throw new OutOfMemoryError(`a plan for ${capacity.rows} rows`, error.bytes, this.device, this.#bytes);
    }
  }

  async run(plan: Plan, input: StepInput, reads: readonly Read[]): Promise<ArrayBuffer[]> {
    await rest();
    const { plan: calls, step, states } = plan as WasmPlan;
    step.set(input);
    this.#move(states, input);
    for (let i = 0; i < stepsOf(input); i++) this.#threads.run(calls, step.counts);
    return await this.read(reads);
  }

  /** Copies states to the places where they will be written, as kernels read them there too. */
  #move(states: readonly Tensor[], input: StepInput): void {
    placesOf(input).forEach(({ from, to }, i) => {
      if (from === to || input.segments[i]!.start === 0) return;
      for (const state of states) {
        const bytes = sliceBytes(state);
        const view = (place: number) => this.#memory.view("u8", pointer(state) + place * bytes as Ptr<"u8">, bytes);
        view(to).set(view(from));
      }
    });
  }

  copy(from: Tensor, to: Tensor, elements: number): Promise<void> {
    return Promise.try(() => this.#view({ tensor: to, elements }).set(this.#view({ tensor: from, elements })));
  }

  read(reads: readonly Read[]): Promise<ArrayBuffer[]> {
    return Promise.resolve(reads.map((read) => this.#view(read).slice().buffer as ArrayBuffer));
  }

  gather(reads: readonly Read[]): Promise<ArrayBuffer> {
    const views = reads.map((read) => this.#view(read));
    const all = new Uint8Array(views.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const view of views) {
      all.set(view, at);
      at += view.length;
    }
    return Promise.resolve(all.buffer);
  }

  #view({ tensor, from = 0, elements }: Read): Uint8Array {
    const [begin, bytes] = [from * ELEMENT_BYTES[tensor.dtype], elements * ELEMENT_BYTES[tensor.dtype]];
    return this.#memory.view("u8", pointer(tensor) + begin as Ptr<"u8">, bytes);
  }

  /** Lets the threads go. The memory goes with the last reference to the backend and its plans. */
  [Symbol.dispose](): void {
    this.#threads[Symbol.dispose]();
  }
}

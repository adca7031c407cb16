/** The WebGPU backend: tensors in buffers, operations as dispatches that a plan replays. */
import {
  type Backend,
  type Capacity,
  type Ops,
  type Plan,
  type RandomValues,
  type Read,
  type StepInput,
  stepsOf,
} from "../backend.ts";
import { type DataType, ELEMENT_BYTES, type Tensor, type TensorShape } from "../tensor.ts";
import { Device, type DeviceOptions } from "./device.ts";
import { fill } from "./fill.ts";
import { Kernels } from "./kernel.ts";
import { Memory } from "./memory.ts";
import { lower, operationsOf } from "./operations.ts";
import { MANY_ROWS } from "./prefill_dense.ts";
import { WebGpuPlan } from "./plan.ts";
import { Readback, type Source } from "./readback.ts";
import type { ReadNow } from "./read_now.ts";
import { own, Recording } from "./recording.ts";
import { Submitter } from "./submitter.ts";
import { Timer } from "./timer.ts";

export interface WebGpuOptions extends DeviceOptions {
  /** How to read a mapped buffer at once; another than the usual one is for tests. */
  readonly readNow?: ReadNow;
}

/** Computes on a GPU. */
export class WebGpuBackend implements Backend {
  readonly #device: Device;
  readonly #memory: Memory;
  readonly #kernels: Kernels;
  readonly #scratch = new Map<string, GPUBuffer>();
  readonly #readback: Readback;
  readonly #timer: Timer | null;
  readonly #submitter: Submitter;
  #gpuMillis: number | null = null;
  #submitted: Promise<void> = Promise.resolve(); // all of the run that was asked for last

  private constructor(device: Device, memory: Memory, kernels: Kernels, readback: Readback) {
    this.#device = device;
    this.#memory = memory;
    this.#kernels = kernels;
    this.#readback = readback;
    this.#timer = Timer.create(device, memory);
    this.#submitter = new Submitter(device, readback, this.#timer);
  }

  /**
   * Opens a GPU.
   * @throws {RangeError} for an unknown provider
   * @throws {Deno.errors.NotFound} where there is no GPU
   */
  static async open({ readNow, ...options }: WebGpuOptions): Promise<WebGpuBackend> {
    const device = await Device.open(options);
    const memory = new Memory(device);
    const kernels = new Kernels(device, memory);
    const readback = await Readback.open(device, memory, kernels, readNow);
    await device.settled();
    return new WebGpuBackend(device, memory, kernels, readback);
  }

  get device(): string {
    return this.#device.name;
  }

  get bytes(): number {
    return this.#memory.bytes;
  }

  /** WebGPU does not tell how much memory a device has. */
  readonly maxBytes = Infinity;

  get pieceBytes(): number {
    return this.#device.maxBindingBytes;
  }

  get onHost(): boolean {
    return this.#device.software;
  }

  /** Of a GPU's kernels; a CPU's lose nothing with more. */
  get decodeRows(): number {
    return this.#device.software ? Infinity : MANY_ROWS - 1;
  }

  get gpuMillis(): number | null {
    return this.#gpuMillis;
  }

  /** Whether results are read without awaiting them. */
  get synchronous(): boolean {
    return this.#readback.synchronous;
  }

  tensor(label: string, dtype: DataType, shape: readonly number[]): Tensor {
    return this.#memory.tensor(label, dtype, shape);
  }

  async allocate(wanted: readonly TensorShape[]): Promise<Tensor[]> {
    await this.#device.settled();
    return await this.#memory.allocate(wanted);
  }

  async write(tensor: Tensor, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#device.settled();
    await this.#memory.write(own(tensor), offset * ELEMENT_BYTES[tensor.dtype], bytes);
  }

  async fill(tensor: Tensor, values: RandomValues): Promise<void> {
    await this.#device.settled();
    fill(this.#device, this.#kernels, own(tensor), values);
  }

  record(capacity: Capacity, build: (ops: Ops) => void): Plan {
    const recording = new Recording(this.#device, this.#memory, this.#kernels, capacity, this.#scratch);
    lower(recording, operationsOf(build));
    return recording.finish();
  }

  /** @throws {DeviceLostError} if the device is lost, in this run or before */
  async run(plan: Plan, step: StepInput, reads: readonly Read[]): Promise<ArrayBuffer[]> {
    if (!(plan instanceof WebGpuPlan)) {
      throw new TypeError("Cannot run the plan on the GPU: another backend recorded it");
    }
    const before = this.#submitted;
    const submitted = Promise.withResolvers<void>();
    this.#submitted = submitted.promise;
    try {
      await before;
      await this.#device.settled();
      const timed = this.#timer?.source(stepsOf(step));
      const sources = [...reads.flatMap(sourcesOf), ...(timed ? [timed] : [])];
      const all = await this.#device.watched(() => this.#submitter.submit(plan, step, sources, submitted.resolve));
      if (timed) this.#gpuMillis = Timer.millis(all.slice(-timed.bytes));
      return cut(all, reads);
    } finally {
      submitted.resolve();
    }
  }

  /** @throws {DeviceLostError} if the device is lost */
  async copy(from: Tensor, to: Tensor, elements: number): Promise<void> {
    await this.#device.settled();
    const { gpu } = this.#device;
    const encoder = gpu.createCommandEncoder();
    const targets = sourcesOf({ tensor: to, elements });
    for (const [i, { buffer, from: at, bytes }] of sourcesOf({ tensor: from, elements }).entries()) {
      encoder.copyBufferToBuffer(buffer, at, targets[i]!.buffer, targets[i]!.from, bytes);
    }
    gpu.queue.submit([encoder.finish()]);
  }

  /** @throws {DeviceLostError} if the device is lost, in this run or before */
  async read(reads: readonly Read[]): Promise<ArrayBuffer[]> {
    return cut(await this.gather(reads), reads);
  }

  /** @throws {DeviceLostError} if the device is lost, in this run or before */
  async gather(reads: readonly Read[]): Promise<ArrayBuffer> {
    await this.#device.settled();
    this.#submitter.forget();
    const encoder = this.#device.gpu.createCommandEncoder();
    const encoded = await this.#readback.encode({ encoder }, reads.flatMap(sourcesOf));
    return await this.#device.watched(() => this.#readback.submit(encoded));
  }

  [Symbol.dispose](): void {
    this.#device[Symbol.dispose]();
  }
}

const bytesOf = ({ tensor, elements }: Read) => elements * ELEMENT_BYTES[tensor.dtype];

/** Where the bytes lie. */
function sourcesOf(read: Read): Source[] {
  const tensor = own(read.tensor);
  const begin = (read.from ?? 0) * ELEMENT_BYTES[tensor.dtype];
  const ranges = [...tensor.ranges(begin, begin + bytesOf(read))];
  return ranges.map(({ part, from, bytes }) => ({ buffer: part.buffer, from, bytes }));
}

/** The bytes of each read out of those of all; the hidden rows of a chunk, all by themselves, are 16 MB. */
function cut(all: ArrayBuffer, reads: readonly Read[]): ArrayBuffer[] {
  if (reads.length === 1 && bytesOf(reads[0]!) === all.byteLength) return [all];
  let end = 0;
  return reads.map((read) => all.slice(end, end += bytesOf(read)));
}

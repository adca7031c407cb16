/** The WebGPU backend: tensors in buffers, operations as dispatches that a plan replays. */
import type { Backend, Capacity, Ops, Plan, RandomValues, Read, StepInput } from "../backend.ts";
import { type DataType, ELEMENT_BYTES, type Tensor, type TensorShape } from "../tensor.ts";
import { linearAttention } from "./attention_ops.ts";
import { candidates } from "./candidate_ops.ts";
import { encodeCopies } from "./copies.ts";
import { embed, gateUp, head, project, projectAdd, receive } from "./dense_ops.ts";
import { Device, type DeviceOptions } from "./device.ts";
import { expertsDownAdd, expertsGateUp, route } from "./expert_ops.ts";
import { fill } from "./fill.ts";
import { Kernels } from "./kernel.ts";
import { Memory } from "./memory.ts";
import { type Counts, isEqual, WebGpuPlan } from "./plan.ts";
import { type Begun, type Encoded, Readback, type ReadNow, type Source } from "./readback.ts";
import { own, Recording } from "./recording.ts";
import { softmaxAttention } from "./softmax_attention.ts";
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
  #gpuMillis: number | null = null;
  #last: StepLike | null = null;
  #ahead: Encoded | null = null;

  private constructor(device: Device, memory: Memory, kernels: Kernels, readback: Readback) {
    this.#device = device;
    this.#memory = memory;
    this.#kernels = kernels;
    this.#readback = readback;
    this.#timer = Timer.create(device, memory);
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
    build(opsOf(recording));
    return recording.finish();
  }

  /** @throws {DeviceLostError} if the device is lost, in this run or before */
  async run(plan: Plan, step: StepInput, reads: readonly Read[]): Promise<ArrayBuffer[]> {
    if (!(plan instanceof WebGpuPlan)) {
      throw new TypeError("Cannot run the plan on the GPU: another backend recorded it");
    }
    await this.#device.settled();
    const timer = this.#timer;
    const counts = plan.write(this.#device.gpu.queue, step);
    const begin = () => this.#begin(plan, counts, step);
    const sources = () => [...reads.flatMap(sourcesOf), ...(timer ? [timer.source] : [])];
    const copies = (step.before?.length ?? 0) + (step.after?.length ?? 0) > 0;
    const all = await this.#submitAhead({ plan, counts, reads, copies }, begin, sources);
    if (timer) this.#gpuMillis = Timer.millis(all.slice(-timer.source.bytes));
    return cut(all, reads);
  }

  /** Encodes a step, but for what is read. */
  #begin(plan: WebGpuPlan, counts: Counts, { before, after }: StepInput): Begun {
    const timer = this.#timer;
    const encode = (
      encoder: GPUCommandEncoder,
      writes: GPUComputePassTimestampWrites | null,
      from: number,
      to?: number,
    ) => {
      const pass = encoder.beginComputePass(writes ? { timestampWrites: writes } : {});
      plan.replay(pass, counts, from, to);
      pass.end();
    };
    const encoder = this.#device.gpu.createCommandEncoder();
    const first = plan.lead > 0 ? this.#device.gpu.createCommandEncoder() : encoder;
    encodeCopies(first, before);
    if (first !== encoder) encode(first, timer && timer.begin, 0, plan.lead);
    encode(encoder, timer && (first === encoder ? timer.whole : timer.end), plan.lead);
    encodeCopies(encoder, after);
    timer?.resolve(encoder);
    return first === encoder ? { encoder } : { lead: first.finish(), encoder };
  }

  /** Encodes the next step while this one runs, in case it is like this one as this one was like the one before: a text goes on. */
  async #submitAhead(
    like: StepLike,
    begin: () => Begun,
    sources: () => readonly Source[],
  ): Promise<ArrayBuffer> {
    const goesOn = isLike(this.#last, like);
    const encoded = (goesOn ? this.#ahead : null) ?? await this.#readback.encode(begin(), sources());
    this.#ahead = null;
    this.#last = like;
    return await this.#device.watched(() =>
      this.#readback.submit(encoded, () => {
        if (goesOn) this.#ahead = this.#readback.encodeNow(begin, sources());
      })
    );
  }

  /** @throws {DeviceLostError} if the device is lost, in this run or before */
  async read(reads: readonly Read[]): Promise<ArrayBuffer[]> {
    await this.#device.settled();
    this.#ahead = null; // its buffer of the ring may be the one that comes next
    const encoder = this.#device.gpu.createCommandEncoder();
    const encoded = await this.#readback.encode({ encoder }, reads.flatMap(sourcesOf));
    return cut(await this.#device.watched(() => this.#readback.submit(encoded)), reads);
  }

  [Symbol.dispose](): void {
    this.#device[Symbol.dispose]();
  }
}

/** What the commands of a step depend on, besides the contents of buffers. */
interface StepLike {
  readonly plan: Plan;
  readonly counts: Counts;
  readonly reads: readonly Read[];
  /** Whether it copies slices, other ones each time. */
  readonly copies: boolean;
}

function isLike(last: StepLike | null, { plan, counts, reads, copies }: StepLike): boolean {
  if (copies || last?.plan !== plan || last.reads.length !== reads.length) return false;
  return isEqual(last.counts, counts) && last.reads.every((read, i) => isSame(read, reads[i]!));
}

function isSame(a: Read, b: Read): boolean {
  return a.tensor === b.tensor && a.elements === b.elements && (a.from ?? 0) === (b.from ?? 0);
}

const bytesOf = ({ tensor, elements }: Read) => elements * ELEMENT_BYTES[tensor.dtype];

/** Where the bytes lie. */
function sourcesOf(read: Read): Source[] {
  const tensor = own(read.tensor);
  const begin = (read.from ?? 0) * ELEMENT_BYTES[tensor.dtype];
  const ranges = [...tensor.ranges(begin, begin + bytesOf(read))];
  return ranges.map(({ part, from, bytes }) => ({ buffer: part.buffer, from, bytes }));
}

/** The bytes of each read out of those of all. */
function cut(all: ArrayBuffer, reads: readonly Read[]): ArrayBuffer[] {
  let end = 0;
  return reads.map((read) => all.slice(end, end += bytesOf(read)));
}

/** The operations, each recording its dispatches. */
function opsOf(recording: Recording): Ops {
  return {
    embed: (...operands) => embed(recording, ...operands),
    receive: (...operands) => receive(recording, ...operands),
    project: (...operands) => project(recording, ...operands),
    projectAdd: (...operands) => projectAdd(recording, ...operands),
    linearAttention: (...operands) => linearAttention(recording, ...operands),
    softmaxAttention: (...operands) => softmaxAttention(recording, ...operands),
    gateUp: (...operands) => gateUp(recording, ...operands),
    route: (...operands) => route(recording, ...operands),
    expertsGateUp: (...operands) => expertsGateUp(recording, ...operands),
    expertsDownAdd: (...operands) => expertsDownAdd(recording, ...operands),
    head: (...operands) => head(recording, ...operands),
    candidates: (...operands) => candidates(recording, ...operands),
  };
}

/** The WebGPU backend: tensors in buffers, operations as dispatches that a plan replays. */
import type { Backend, Capacity, Copy, Ops, Plan, RandomValues, Read, Slice, StepInput } from "../backend.ts";
import { type DataType, ELEMENT_BYTES, type Tensor, type TensorShape } from "../tensor.ts";
import { linearAttention } from "./attention_ops.ts";
import { candidates, draw } from "./candidate_ops.ts";
import { encodeCopies } from "./copies.ts";
import { embed, gateUp, head, project, projectAdd, receive } from "./dense_ops.ts";
import { Device, type DeviceOptions } from "./device.ts";
import { expertsDownAdd, expertsGateUp, route } from "./expert_ops.ts";
import { fill } from "./fill.ts";
import { Kernels } from "./kernel.ts";
import { Memory } from "./memory.ts";
import { type Counts, isEqual, stepBytes, WebGpuPlan } from "./plan.ts";
import { type Begun, type Encoded, Readback, type ReadNow, type Source } from "./readback.ts";
import { own, Recording } from "./recording.ts";
import { softmaxAttention } from "./softmax_attention.ts";
import { Timer } from "./timer.ts";

/** Label of the buffer in which further steps wait. */
const LATER = "later steps";

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
    const [results] = await this.runAll(plan, [step], reads);
    return results!;
  }

  /** @throws {DeviceLostError} if the device is lost, in this run or before */
  async runAll(plan: Plan, steps: readonly StepInput[], reads: readonly Read[]): Promise<ArrayBuffer[][]> {
    if (!(plan instanceof WebGpuPlan)) {
      throw new TypeError("Cannot run the plan on the GPU: another backend recorded it");
    }
    await this.#device.settled();
    const timer = this.#timer;
    const sources = [...reads.flatMap(sourcesOf), ...(timer ? [timer.source] : [])];
    const all = await this.#device.watched(() => this.#submit(plan, steps, reads, sources));
    const bytes = all.byteLength / steps.length;
    const results = steps.map((_, i) => all.slice(i * bytes, (i + 1) * bytes));
    if (timer) {
      this.#gpuMillis = results.reduce((sum, each) => sum + Timer.millis(each.slice(-timer.source.bytes)), 0);
    }
    return results.map((each) => cut(each, reads));
  }

  /**
   * Submits the first step, then encodes and submits the further ones while those before them run, and at last encodes the step that may
   * come next, in case it is like the first one as that was like the one before: a text goes on.
   */
  async #submit(
    plan: WebGpuPlan,
    steps: readonly StepInput[],
    reads: readonly Read[],
    sources: readonly Source[],
  ): Promise<ArrayBuffer> {
    const [first] = steps as [StepInput];
    const count = steps.length;
    const later = count > 1 ? this.#later(plan, count - 1) : null;
    const counts = plan.write(this.#device.gpu.queue, steps, later);
    const begin = () => this.#begin(plan, counts[0]!, first);
    const like = { plan, counts: counts[0]!, reads, before: first.before ?? [], after: first.after ?? [], count };
    const goesOn = isLike(this.#last, like);
    const encoded = (goesOn ? this.#ahead : null) ?? await this.#readback.encode(begin(), sources, count);
    this.#ahead = null;
    this.#last = like;
    return await this.#readback.submit(encoded, () => {
      // What is submitted by itself begins some 0.15 ms late, so twice as many each time, which are encoded while half as many run.
      for (let at = 1, group = 2; at < count; at += group, group *= 2) {
        const encoder = this.#device.gpu.createCommandEncoder();
        for (let i = at; i < Math.min(at + group, count); i++) {
          plan.next(encoder, later!, i - 1);
          this.#encode(plan, encoder, counts[i]!, steps[i]!);
          this.#readback.copy(encoded, encoder, i, sources);
        }
        this.#device.gpu.queue.submit([encoder.finish()]);
      }
      if (goesOn) this.#ahead = this.#readback.encodeNow(begin, sources, count);
    }, count);
  }

  /** Where the step buffers of further steps wait. */
  #later(plan: WebGpuPlan, count: number): GPUBuffer {
    const bytes = count * stepBytes(plan.capacity);
    const known = this.#scratch.get(LATER);
    if (known !== undefined && known.size >= bytes) return known;
    const buffer = this.#memory.buffer(LATER, bytes);
    this.#scratch.set(LATER, buffer);
    return buffer;
  }

  /** Encodes a step that the device waits for, but for what is read. */
  #begin(plan: WebGpuPlan, counts: Counts, step: StepInput): Begun {
    const encoder = this.#device.gpu.createCommandEncoder();
    if (plan.lead === 0) {
      this.#encode(plan, encoder, counts, step);
      return { encoder };
    }
    const lead = this.#device.gpu.createCommandEncoder();
    encodeCopies(lead, step.before);
    pass(plan, lead, counts, this.#timer?.begin, 0, plan.lead);
    pass(plan, encoder, counts, this.#timer?.end, plan.lead);
    this.#end(encoder, step);
    return { lead: lead.finish(), encoder };
  }

  /** Encodes a step in one piece. */
  #encode(plan: WebGpuPlan, encoder: GPUCommandEncoder, counts: Counts, step: StepInput): void {
    encodeCopies(encoder, step.before);
    pass(plan, encoder, counts, this.#timer?.whole);
    this.#end(encoder, step);
  }

  #end(encoder: GPUCommandEncoder, { after }: StepInput): void {
    encodeCopies(encoder, after);
    this.#timer?.resolve(encoder);
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

/** Encodes a plan's dispatches [from, to). */
function pass(
  plan: WebGpuPlan,
  encoder: GPUCommandEncoder,
  counts: Counts,
  timestampWrites: GPUComputePassTimestampWrites | undefined,
  from?: number,
  to?: number,
): void {
  const pass = encoder.beginComputePass(timestampWrites ? { timestampWrites } : {});
  plan.replay(pass, counts, from, to);
  pass.end();
}

/** What the commands of a step depend on, besides the contents of buffers. */
interface StepLike {
  readonly plan: Plan;
  readonly counts: Counts;
  readonly reads: readonly Read[];
  readonly before: readonly Copy[];
  readonly after: readonly Copy[];
  /** Steps that leave what is read. */
  readonly count: number;
}

function isLike(last: StepLike | null, like: StepLike): boolean {
  if (last === null || last.plan !== like.plan || last.count !== like.count) return false;
  return isEqual(last.counts, like.counts) && alike(last.reads, like.reads, isSameRead) &&
    alike(last.before, like.before, isSameCopy) && alike(last.after, like.after, isSameCopy);
}

function alike<T>(some: readonly T[], others: readonly T[], isSame: (a: T, b: T) => boolean): boolean {
  return some.length === others.length && some.every((one, i) => isSame(one, others[i]!));
}

const isSameRead = (a: Read, b: Read) =>
  a.tensor === b.tensor && a.elements === b.elements && (a.from ?? 0) === (b.from ?? 0);

const isSameSlice = (a: Slice, b: Slice) => a.tensor === b.tensor && a.index === b.index;

const isSameCopy = (a: Copy, b: Copy) => isSameSlice(a.from, b.from) && isSameSlice(a.to, b.to);

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
    draw: (...operands) => draw(recording, ...operands),
  };
}

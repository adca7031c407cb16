/** The WebGPU backend: tensors in buffers, operations as dispatches that a plan replays. */
import type { Backend, Capacity, Ops, Plan, RandomValues, Read, StepInput } from "../backend.ts";
import { type DataType, ELEMENT_BYTES, type Tensor } from "../tensor.ts";
import { linearAttention, softmaxAttention } from "./attention_ops.ts";
import { candidates } from "./candidate_ops.ts";
import { embed, gatedProduct, head, project, projectAdd, receive } from "./dense_ops.ts";
import { Device, type DeviceOptions } from "./device.ts";
import { expertsDownAdd, expertsGateUp, route } from "./expert_ops.ts";
import { fill } from "./fill.ts";
import { Kernels } from "./kernel.ts";
import { Memory } from "./memory.ts";
import { WebGpuPlan } from "./plan.ts";
import { Readback, type ReadNow, type Source } from "./readback.ts";
import { own, Recording } from "./recording.ts";
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
  readonly #readback: Readback;
  readonly #timer: Timer | null;
  #gpuMillis: number | null = null;

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

  async write(tensor: Tensor, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#device.settled();
    await this.#memory.write(own(tensor), offset * ELEMENT_BYTES[tensor.dtype], bytes);
  }

  async fill(tensor: Tensor, values: RandomValues): Promise<void> {
    await this.#device.settled();
    fill(this.#device, this.#kernels, own(tensor), values);
  }

  record(capacity: Capacity, build: (ops: Ops) => void): Plan {
    const recording = new Recording(this.#device, this.#memory, this.#kernels, capacity);
    build(opsOf(recording));
    return recording.finish();
  }

  /** @throws {DeviceLostError} if the device is lost, in this run or before */
  async run(plan: Plan, step: StepInput, reads: readonly Read[]): Promise<ArrayBuffer[]> {
    if (!(plan instanceof WebGpuPlan)) {
      throw new TypeError("Cannot run the plan on the GPU: another backend recorded it");
    }
    const timer = this.#timer;
    const results = await this.#submit(reads, (encoder) => {
      const counts = plan.write(this.#device.gpu.queue, step);
      const pass = encoder.beginComputePass(timer ? { timestampWrites: timer.writes } : {});
      plan.replay(pass, counts);
      pass.end();
      return timer ? [timer.resolve(encoder)] : [];
    });
    if (timer) this.#gpuMillis = Timer.millis(results.pop()!);
    return results;
  }

  /** @throws {DeviceLostError} if the device is lost, in this run or before */
  read(reads: readonly Read[]): Promise<ArrayBuffer[]> {
    return this.#submit(reads, () => []);
  }

  /** Reads the tensors, and what `encode` says is to be read besides. */
  async #submit(
    reads: readonly Read[],
    encode: (encoder: GPUCommandEncoder) => readonly Source[],
  ): Promise<ArrayBuffer[]> {
    await this.#device.settled();
    const encoder = this.#device.gpu.createCommandEncoder();
    const others = encode(encoder);
    const lengths = [
      ...reads.map(({ tensor, elements }) => elements * ELEMENT_BYTES[tensor.dtype]),
      ...others.map(({ bytes }) => bytes),
    ];
    const sources = [...reads.flatMap(({ tensor }, i) => sourcesOf(tensor, lengths[i]!)), ...others];
    const all = await this.#device.watched(() => this.#readback.submit(encoder, sources));
    let end = 0;
    return lengths.map((bytes) => all.slice(end, end += bytes));
  }

  [Symbol.dispose](): void {
    this.#device[Symbol.dispose]();
  }
}

/** Where a tensor's first bytes lie. */
function sourcesOf(tensor: Tensor, bytes: number): Source[] {
  return [...own(tensor).ranges(0, bytes)].map(({ part, from, bytes }) => ({ buffer: part.buffer, from, bytes }));
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
    gateUp: (out, hidden, norm, gate, up) =>
      gatedProduct(recording, out, recording.normed(hidden, norm), gate, up, null),
    route: (...operands) => route(recording, ...operands),
    expertsGateUp: (...operands) => expertsGateUp(recording, ...operands),
    expertsDownAdd: (...operands) => expertsDownAdd(recording, ...operands),
    head: (...operands) => head(recording, ...operands),
    candidates: (...operands) => candidates(recording, ...operands),
  };
}

/** What dispatches cost: the host until they are submitted, the device until they are done, and a round trip. By our own clock. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Device } from "./device.ts";
import { type BoundKernel, Kernels, setKernel } from "./kernel.ts";
import { Memory } from "./memory.ts";
import { type Encoded, Readback } from "./readback.ts";
import { median } from "./tuning.ts";

/** As many as a step of Ring-mini-linear-2.0 has. */
export const DISPATCHES = 141;

/** So many take a device milliseconds. */
const MANY = 2000;

/** Medians of some repetitions. */
export interface HostCosts {
  /** Milliseconds of one dispatch and 4 bytes read back. */
  readonly roundTrip: number;
  /** Microseconds a dispatch: recorded, and with what ends the recording. */
  readonly recorded: number;
  readonly finished: number;
  /** Microseconds of a submission of {@linkcode DISPATCHES}. */
  readonly submitted: number;
}

/** Measures on an open device, in rounds, so that providers can take turns. */
export class HostClock {
  readonly #device: Device;
  readonly #readback: Readback;
  readonly #kernel: BoundKernel;
  readonly #count: GPUBuffer;

  private constructor(device: Device, readback: Readback, kernel: BoundKernel, count: GPUBuffer) {
    this.#device = device;
    this.#readback = readback;
    this.#kernel = kernel;
    this.#count = count;
  }

  static async open(device: Device): Promise<HostClock> {
    const memory = new Memory(device);
    const kernels = new Kernels(device, memory);
    const count = memory.buffer("count", 4);
    const kernel = kernels.get(SHADERS.counter, {}).bind({ count }, {});
    return new HostClock(device, await Readback.open(device, memory, kernels), kernel, count);
  }

  /** Each kind so many times. */
  async round(times: number): Promise<HostCosts> {
    const trips: number[] = [];
    for (let i = 0; i < times; i++) trips.push(await this.#roundTrip());
    const recordings: Omit<HostCosts, "roundTrip">[] = [];
    for (let i = 0; i < times; i++) {
      recordings.push(this.#recording());
      await this.#device.gpu.queue.onSubmittedWorkDone();
    }
    const of = (what: "recorded" | "finished" | "submitted") => median(recordings.map((each) => each[what]));
    const [recorded, finished, submitted] = [of("recorded"), of("finished"), of("submitted")];
    return { roundTrip: median(trips), recorded, finished, submitted };
  }

  /** Microseconds of the device's for a dispatch that does nothing but wait for the one before: the least of so many measurements. */
  async dispatch(times: number): Promise<number> {
    let [one, many] = [Infinity, Infinity];
    for (let i = 0; i < times; i++) {
      one = Math.min(one, await this.#answer(1));
      many = Math.min(many, await this.#answer(MANY + 1));
    }
    return 1e3 * Math.max(0, many - one) / MANY;
  }

  /** Milliseconds from the submission of so many dispatches to the 4 bytes that they leave. */
  async #answer(dispatches: number): Promise<number> {
    const encoded = await this.#encode(dispatches);
    const begun = performance.now();
    await this.#readback.submit(encoded);
    return performance.now() - begun;
  }

  async #roundTrip(): Promise<number> {
    const begun = performance.now();
    await this.#readback.submit(await this.#encode(1));
    return performance.now() - begun;
  }

  async #encode(dispatches: number): Promise<Encoded> {
    const encoder = this.#device.gpu.createCommandEncoder();
    this.#record(encoder, dispatches);
    return await this.#readback.encode({ encoder }, [{ buffer: this.#count, from: 0, bytes: 4 }]);
  }

  #recording(): Omit<HostCosts, "roundTrip"> {
    const begun = performance.now();
    const encoder = this.#device.gpu.createCommandEncoder();
    this.#record(encoder, DISPATCHES);
    const recordedAt = performance.now();
    const commands = encoder.finish();
    const finishedAt = performance.now();
    this.#device.gpu.queue.submit([commands]);
    const submitted = 1e3 * (performance.now() - finishedAt);
    const each = (until: number) => 1e3 * (until - begun) / DISPATCHES;
    return { recorded: each(recordedAt), finished: each(finishedAt), submitted };
  }

  #record(encoder: GPUCommandEncoder, dispatches: number): void {
    const pass = encoder.beginComputePass();
    for (let i = 0; i < dispatches; i++) {
      setKernel(pass, this.#kernel);
      pass.dispatchWorkgroups(1);
    }
    pass.end();
  }
}

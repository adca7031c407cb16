/**
 * What a GPU provider costs the host, all that are there in turns: `deno run -A bench/providers_bench.ts [--rounds N]`. A round trip is
 * one dispatch and 4 bytes read back; recording is of a decode step's worth of dispatches of one kernel.
 */
import { parseArgs } from "node:util";
import { SHADERS } from "../shaders/mod.ts";
import { Device } from "../src/backend/webgpu/device.ts";
import { type BoundKernel, Kernels, setKernel } from "../src/backend/webgpu/kernel.ts";
import { Memory } from "../src/backend/webgpu/memory.ts";
import { Readback } from "../src/backend/webgpu/readback.ts";
import { digits, median } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import type { GpuProvider } from "../src/mod.ts";

/** As many as a step of Ring-mini-linear-2.0 has. */
const DISPATCHES = 141;

/** Of each kind, in a round. */
const TIMES = 50;

const { values: { rounds } } = parseArgs({ options: { rounds: { type: "string", default: "20" } } });

interface Costs {
  /** Milliseconds. */
  readonly roundTrip: number;
  /** Microseconds a dispatch: recorded, and with what ends the recording. */
  readonly recorded: number;
  readonly finished: number;
  /** Microseconds of a submission of them all. */
  readonly submitted: number;
}

class Bench {
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

  static async open(gpu: GpuProvider): Promise<Bench> {
    const device = await Device.open({ gpu });
    const memory = new Memory(device);
    const kernels = new Kernels(device, memory);
    const count = memory.buffer("count", 4);
    const kernel = kernels.get(SHADERS.counter, {}).bind({ count }, {});
    return new Bench(device, await Readback.open(device, memory, kernels), kernel, count);
  }

  async round(): Promise<Costs> {
    const trips: number[] = [];
    for (let i = 0; i < TIMES; i++) {
      const begun = performance.now();
      const encoder = this.#device.gpu.createCommandEncoder();
      this.#record(encoder, 1);
      const source = { buffer: this.#count, from: 0, bytes: 4 };
      await this.#readback.submit(await this.#readback.encode({ encoder }, [source]));
      trips.push(performance.now() - begun);
    }
    const recorded: number[] = [], finished: number[] = [], submitted: number[] = [];
    for (let i = 0; i < TIMES; i++) {
      const begun = performance.now();
      const encoder = this.#device.gpu.createCommandEncoder();
      this.#record(encoder, DISPATCHES);
      const recordedAt = performance.now();
      const commands = encoder.finish();
      const finishedAt = performance.now();
      this.#device.gpu.queue.submit([commands]);
      submitted.push(1e3 * (performance.now() - finishedAt));
      recorded.push(1e3 * (recordedAt - begun) / DISPATCHES);
      finished.push(1e3 * (finishedAt - begun) / DISPATCHES);
      await this.#device.gpu.queue.onSubmittedWorkDone();
    }
    const [trip, record, finish, submit] = [trips, recorded, finished, submitted].map(median);
    return { roundTrip: trip!, recorded: record!, finished: finish!, submitted: submit! };
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

const terminal = processTerminal();
const PROVIDERS: readonly GpuProvider[] = ["deno", "wgpu-native", "dawn"];
const benches = new Map<GpuProvider, Bench>();
for (const gpu of PROVIDERS) {
  await Bench.open(gpu).then(
    (bench) => benches.set(gpu, bench),
    ({ message }) => terminal.note(`${gpu}: ${message}\n`),
  );
}
const all = new Map([...benches.keys()].map((gpu) => [gpu, [] as Costs[]]));
for (let round = 0; round <= Number(rounds); round++) {
  for (const [gpu, bench] of benches) {
    const costs = await bench.round();
    if (round > 0) all.get(gpu)!.push(costs); // the first one compiles
  }
}
terminal.write(
  "provider     round trip ms  record us  with finish us  submit us   (us a dispatch; a submission of 141)\n",
);
for (const [gpu, costs] of all) {
  const of = (what: keyof Costs) => digits(median(costs.map((each) => each[what])));
  const columns = [of("roundTrip").padStart(13), of("recorded").padStart(10), of("finished").padStart(15)];
  terminal.write(`${gpu.padEnd(12)} ${columns.join(" ")} ${of("submitted").padStart(10)}\n`);
}

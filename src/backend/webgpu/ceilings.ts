/** What a GPU can do at best: kernels that only read, only compute, or do nothing. */
import { SHADERS, TOOLS } from "../../../shaders/mod.ts";
import type { GpuProvider } from "../../pipeline/messages.ts";
import { Clock } from "./clock.ts";
import { Device } from "./device.ts";
import { fill } from "./fill.ts";
import { type BoundKernel, Kernels, setKernel } from "./kernel.ts";
import { Memory } from "./memory.ts";
import { Readback } from "./readback.ts";

/** Read at once, if a binding may be so large: more than caches hold. */
const READ_BYTES = 2 ** 30;

/** Threads of a workgroup that computes. */
const THREADS = 256;

/** Loads, and rounds of operations, of one thread. */
const LOADS = 32;
const ROUNDS = 512;

/** Operations of a round: 8 vec4f, multiplied and added. */
const ROUND_FLOPS = 64;

const DISPATCHES = 1000;
const RUNS = 5;

/** Long enough for the clock. */
const ENOUGH_MILLIS = 2;

/** As `measureDevice` says. */
export async function measureWebGpu(gpu: GpuProvider) {
  using device = await Device.open({ gpu, timed: true });
  const memory = new Memory(device);
  const kernels = new Kernels(device, memory);
  const clock = new Clock(device, memory, await Readback.open(device, memory, kernels));
  const out = memory.buffer("out", 4);
  return {
    device: device.name,
    bandwidth: await bandwidth(device, memory, kernels, clock, out),
    flops: await flops(kernels, clock, out),
    dispatchMillis: await best(clock, kernels.get(SHADERS.counter, {}).bind({ count: out }, {}), 1, DISPATCHES) /
      DISPATCHES,
  };
}

async function bandwidth(device: Device, memory: Memory, kernels: Kernels, clock: Clock, out: GPUBuffer) {
  const LANES = device.wideLanes; // a CPU reads far slower where a workgroup has several subgroups
  const groupBytes = 16 * LOADS * LANES;
  const most = groupBytes * device.gpu.limits.maxComputeWorkgroupsPerDimension;
  const bytes = 2 ** Math.floor(Math.log2(Math.min(READ_BYTES, device.maxBindingBytes, most)));
  const tensor = memory.tensor("source", "f32", [bytes / 2 ** 12, 2 ** 10]);
  fill(device, kernels, tensor, { seed: 1, spread: 1, centre: 0 });
  const kernel = kernels.get(TOOLS.readMemory, { LOADS, LANES }).bind({ source: tensor.parts[0]!.buffer, out }, {});
  const millis = await best(clock, kernel, bytes / groupBytes);
  return bytes / millis * 1e3;
}

/** With more and more workgroups, until it takes long enough. */
async function flops(kernels: Kernels, clock: Clock, out: GPUBuffer) {
  const kernel = kernels.get(TOOLS.multiplyAdd, { ROUNDS }).bind({ out }, {});
  for (let groups = 64;; groups *= 4) {
    const millis = await best(clock, kernel, groups);
    if (millis > ENOUGH_MILLIS || groups >= 2 ** 14) return groups * THREADS * ROUNDS * ROUND_FLOPS / millis * 1e3;
  }
}

/** Milliseconds of the fastest of several runs. */
async function best(clock: Clock, kernel: BoundKernel, groups: number, times = 1): Promise<number> {
  let least = Infinity;
  for (let run = 0; run <= RUNS; run++) {
    const millis = await clock.millis((pass) => {
      setKernel(pass, kernel);
      for (let i = 0; i < times; i++) pass.dispatchWorkgroups(groups);
    });
    if (run > 0) least = Math.min(least, millis); // the first one compiles
  }
  return least;
}

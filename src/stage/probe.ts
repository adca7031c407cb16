/** What computing by a provider costs and gives on this computer: a short measurement, in the process that asks. */
import { WasmBackend } from "../backend/wasm/wasm_backend.ts";
import { StartedThreads } from "../backend/wasm/started_threads.ts";
import { Device, WIDE_INTEGERS } from "../backend/webgpu/device.ts";
import { DISPATCHES, HostClock, type HostCosts } from "../backend/webgpu/host_costs.ts";
import { deviceIdentity } from "../backend/webgpu/identity.ts";
import { WebGpuBackend } from "../backend/webgpu/webgpu_backend.ts";
import { MATRIX_FEATURE } from "../backend/webgpu/matrices.ts";
import type { GpuProvider } from "../pipeline/messages.ts";
import { measureThroughput } from "./throughput.ts";

/** Who may compute: a GPU provider, or threads of the CPU. */
export type Computer = GpuProvider | "wasm";

/** What one of them costs and gives. */
export interface Figures {
  /** The device's own name. */
  readonly device: string;
  /** All that it tells of itself. */
  readonly identity: string;
  /** Whether it is more than the CPU. */
  readonly hardware: boolean;
  /** What kernels may use. */
  readonly features: readonly string[];
  /** Milliseconds of a dispatch and 4 bytes read back. */
  readonly roundTripMillis: number;
  /** Microseconds of the host's for a dispatch: recorded, finished and submitted with others. */
  readonly recordMicros: number;
  /** Microseconds of the device's for a dispatch that does nothing but wait for the one before. */
  readonly dispatchMicros: number;
  /** Bytes a second of weights in bf16 that are multiplied with one row. */
  readonly bandwidth: number;
  /** f32 operations a second of products of many rows. */
  readonly flops: number;
  /** The same by matrix units in f16; null where kernels use none. */
  readonly matrixFlops: number | null;
}

/** Repetitions of what takes the host a tenth of a millisecond, and the rounds of them of which the best counts. */
const TIMES = 10;
const ROUNDS = 4;

/** Takes about a second, and frees all that it took. Throws as opening the device does. */
export function probe(computer: Computer, threads: number): Promise<Figures> {
  return computer === "wasm" ? probeWasm(threads) : probeGpu(computer);
}

/** Features that kernels use. */
const FEATURES: readonly string[] = ["shader-f16", "subgroups", MATRIX_FEATURE, WIDE_INTEGERS];

/** Long enough for a GPU's frequency to rise, and for V8 to compile WASM in earnest. */
const GPU_MILLIS = 20;
const WASM_MILLIS = 100;

/** Calls within one thread cost nothing to speak of. */
const NO_COSTS = { roundTripMillis: 0, recordMicros: 0, dispatchMicros: 0 };

async function probeWasm(threads: number): Promise<Figures> {
  await using others = new StartedThreads(threads - 1);
  using backend = await WasmBackend.open(others.ports());
  const { device } = backend;
  const throughput = await measureThroughput(backend, WASM_MILLIS);
  return {
    ...{ device, identity: device, hardware: false, features: ["simd"] },
    ...NO_COSTS,
    ...throughput,
  };
}

async function probeGpu(provider: GpuProvider): Promise<Figures> {
  const identity = await deviceIdentity(provider);
  using device = await Device.open({ gpu: provider });
  const has = (feature: string) => device.gpu.features.has(feature as GPUFeatureName);
  const clock = await HostClock.open(device);
  const rounds: HostCosts[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await clock.round(TIMES));
  const least = (cost: (costs: HostCosts) => number) => Math.min(...rounds.map(cost));
  using backend = await WebGpuBackend.open({ gpu: provider, device: device.gpu });
  return {
    ...{ device: device.name, identity: identity!, hardware: !device.software },
    features: FEATURES.filter((name) => has(name)),
    roundTripMillis: least(({ roundTrip }) => roundTrip),
    recordMicros: least(({ finished, submitted }) => finished + submitted / DISPATCHES),
    dispatchMicros: await clock.dispatch(ROUNDS),
    ...await measureThroughput(backend, GPU_MILLIS, device.matrices !== null),
  };
}

/** A GPU device: what was asked of it, what it can do, and whether it still lives. */
import { DeviceLostError } from "../backend.ts";
import type { GpuProvider, KernelChoice } from "../../pipeline/messages.ts";
import { adapterName, isSoftware, readLimits } from "./adapters.ts";
import { type Matrices, matricesOf, MATRIX_FEATURE } from "./matrices.ts";
import { openProvider, type Provider } from "./provider.ts";
import type { ReadNow } from "./read_now.ts";

export interface DeviceOptions {
  readonly gpu: GpuProvider;
  /** A device of one's own instead of the provider's best. */
  readonly device?: GPUDevice;
  /** Largest binding to use, at most what the device allows: tensors above it are split. */
  readonly maxBindingBytes?: number;
  /** Ask for timestamps, where the device has them: runs tell how long the device worked. */
  readonly timed?: boolean;
  /** Variants of the kernels; those that usually are the fastest, if left out. */
  readonly kernels?: KernelChoice;
}

/** Nearly always subgroups, where there are any, and threads enough for the full rate of an H100's memory. */
export const USUAL_KERNELS: KernelChoice = { subgroups: true, threads: 2 ** 17 };

/** Features that adapters may hide and yet grant; all are optional. */
const WANTED = ["subgroups", "shader-f16"] as const;

/** Deno's name of integers of 64 bits, which only the kernels for CPUs use. */
export const WIDE_INTEGERS = "wgpu-shader-int64";

/** Limits worth raising above WebGPU's defaults. */
const RAISED = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
] as const;

/** Threads a subgroup has where nothing is known of it. */
const USUAL_SUBGROUP = 32;

/** An open device. */
export class Device implements Disposable {
  readonly gpu: GPUDevice;
  readonly name: string;
  /** What is recorded from now on goes by. */
  kernels: KernelChoice;
  readonly #enables: readonly string[];
  readonly #subgroupEnables: readonly string[];
  /** Whether kernels may use integers of 64 bits. */
  readonly wideIntegers: boolean;
  /** Threads that every subgroup has at least. */
  readonly minSubgroup: number;
  /** Threads of a workgroup that works on one short vector: a subgroup. */
  readonly lanes: number;
  /** Whether it computes on the CPU. */
  readonly software: boolean;
  /** Whether it does so in one thread, one workgroup after the other. */
  readonly serial: boolean;
  /** Threads of a workgroup that has much to do: more than a subgroup where they run side by side. */
  readonly wideLanes: number;
  readonly maxBindingBytes: number;
  /** Its matrix units; null if it has none. */
  readonly matrices: Matrices | null;
  /** How to read its buffers without awaiting them. */
  readonly readNow: ReadNow;
  #broken: Error | null = null;
  readonly #verdicts: Promise<void>[] = [];

  private constructor(
    gpu: GPUDevice,
    { enables, subgroupEnables, serial, readNow }: Provider,
    most: number,
    kernels: KernelChoice,
    matrices: Matrices | null,
  ) {
    const info = gpu.adapterInfo;
    this.gpu = gpu;
    this.name = adapterName(info);
    this.kernels = kernels;
    this.#enables = enables;
    this.#subgroupEnables = subgroupEnables;
    this.wideIntegers = gpu.features.has(WIDE_INTEGERS as GPUFeatureName);
    this.minSubgroup = info.subgroupMinSize || USUAL_SUBGROUP;
    this.lanes = Math.min(64, Math.max(8, info.subgroupMaxSize || USUAL_SUBGROUP));
    this.software = isSoftware(info);
    this.serial = this.software && serial;
    this.matrices = matrices;
    this.readNow = readNow;
    // A CPU runs a workgroup's subgroups one after the other, and each barrier between them costs.
    this.wideLanes = this.software ? this.lanes : Math.min(128, 4 * this.lanes);
    const { maxStorageBufferBindingSize, maxBufferSize } = gpu.limits;
    this.maxBindingBytes = Math.floor(Math.min(most, maxStorageBufferBindingSize, maxBufferSize) / 16) * 16;
    gpu.lost.then(({ reason, message }) => {
      this.#broken = new DeviceLostError(
        `The GPU ${this.name} was lost (${message || reason}): its work is gone, start the stage again`,
      );
    });
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#broken ??= new Error(
        `The GPU ${this.name} refused a command: ${(event as GPUUncapturedErrorEvent).error.message.trim()}`,
      );
    });
  }

  /**
   * Opens the provider's best device.
   * @throws {RangeError} for an unknown provider
   * @throws {Deno.errors.NotFound} where there is no adapter
   */
  static async open(
    { gpu, device, maxBindingBytes = Infinity, timed = false, kernels = USUAL_KERNELS }: DeviceOptions,
  ): Promise<Device> {
    const provider = openProvider(gpu);
    const opened = device ?? await request(provider, timed);
    const adapter = await provider.adapter(); // a device does not tell all that its adapter does
    const matrices = adapter && matricesOf(opened, adapter.info);
    return new Device(opened, provider, maxBindingBytes, kernels, matrices);
  }

  /** Whether kernels use subgroups: the device has them, and they were chosen. */
  get subgroups(): boolean {
    return this.kernels.subgroups && this.gpu.features.has("subgroups");
  }

  /** Lines that begin every shader. */
  get enables(): readonly string[] {
    return this.subgroups ? [...this.#enables, ...this.#subgroupEnables] : this.#enables;
  }

  /** Throws if the device is lost or has refused something since it was opened. */
  check(): void {
    if (this.#broken !== null) throw this.#broken;
  }

  /** Makes something; what the device finds wrong with it, it says later, and {@linkcode settled} throws it as `explain` puts it. */
  guarded<T>(filter: GPUErrorFilter, make: () => T, explain: (message: string) => Error): T {
    this.gpu.pushErrorScope(filter);
    try {
      return make();
    } finally {
      const verdict = this.gpu.popErrorScope().then((error) => {
        if (error !== null) this.#broken ??= explain(error.message.trim());
      });
      this.#verdicts.push(verdict.catch(() => {})); // a lost device judges nothing, and says itself that it is lost
    }
  }

  /** Waits until the device has judged all that was made; throws as {@linkcode check} does. */
  async settled(): Promise<void> {
    if (this.#verdicts.length > 0) await Promise.all(this.#verdicts.splice(0));
    this.check();
  }

  /** Runs something that fails when the device is lost, and then throws why. */
  async watched<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await new Promise((resolve) => setTimeout(resolve)); // the news of a loss takes a turn of the event loop
      this.check();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.gpu.destroy();
  }
}

/** A device with as many of the wanted features as are granted together, subgroups first. */
async function request(provider: Provider, timed: boolean): Promise<GPUDevice> {
  const [subgroups, f16, wide, matrices] = [
    ...WANTED,
    WIDE_INTEGERS,
    MATRIX_FEATURE,
  ] as readonly string[] as GPUFeatureName[];
  const choices = [[subgroups!, f16!], [subgroups!], [f16!]];
  const adapter = await provider.adapter();
  if (adapter && isSoftware(adapter.info)) choices.unshift([subgroups!, f16!, wide!], [subgroups!, wide!]);
  else if (adapter?.features.has(MATRIX_FEATURE as GPUFeatureName)) choices.unshift([subgroups!, f16!, matrices!]);
  for (const features of choices) {
    const device = await requestWith(provider, features, timed).catch((error) => {
      if (error instanceof Deno.errors.NotFound) throw error;
      return null;
    });
    if (device !== null) return device;
  }
  return await requestWith(provider, [], timed);
}

/** An adapter gives one device only, hence a new adapter each time. */
async function requestWith(
  provider: Provider,
  features: readonly GPUFeatureName[],
  timed: boolean,
): Promise<GPUDevice> {
  const adapter = await provider.adapter();
  if (!adapter) {
    throw new Deno.errors.NotFound(
      "Cannot open a GPU: there is none; install its Vulkan driver, or use --backend wasm",
    );
  }
  const limits = readLimits(adapter.limits);
  const requiredLimits = Object.fromEntries(RAISED.map((name) => [name, limits[name]!]));
  const timestamps = timed && adapter.features.has("timestamp-query") ? ["timestamp-query" as const] : [];
  return await adapter.requestDevice({ requiredFeatures: [...features, ...timestamps], requiredLimits });
}

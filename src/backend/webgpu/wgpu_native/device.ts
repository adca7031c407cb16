/** A device: makes everything else, hears of errors, and releases all that was made when it is destroyed. */
import { WgpuBuffer } from "./buffer.ts";
import type { CallbackTable } from "./callbacks.ts";
import { WgpuCommandEncoder } from "./command_encoder.ts";
import { errorOf, ErrorScopes, UncapturedErrorEvent } from "./errors.ts";
import { type Handle, Handles } from "./handles.ts";
import type { Symbols } from "./library.ts";
import { WgpuQueue } from "./queue.ts";
import {
  WgpuBindGroup,
  WgpuBindGroupLayout,
  WgpuComputePipeline,
  WgpuPipelineLayout,
  WgpuQuerySet,
  WgpuShaderModule,
} from "./resources.ts";
import { Scratch } from "./scratch.ts";
import type { Unsubmitted } from "./unsubmitted.ts";
import { Waiting } from "./waiting.ts";
import type { FUNCTIONS } from "./webgpu_h.ts";

type Created = keyof typeof FUNCTIONS extends infer F ? F extends `wgpuDeviceCreate${infer Kind}` ? Kind : never
  : never;
type Describe = () => Uint8Array<ArrayBuffer>;

/** What an adapter hands to a device. */
export interface Opened {
  readonly symbols: Symbols;
  readonly callbacks: CallbackTable;
  readonly unsubmitted: Unsubmitted;
  readonly pointer: Deno.PointerValue;
  readonly adapterInfo: GPUAdapterInfo;
  readonly features: ReadonlySet<string>;
  readonly limits: GPUSupportedLimits;
  readonly label: string;
  /** Called once nothing of the device is left. */
  readonly closed: (device: WgpuDevice) => void;
}

/**
 * As the standard's GPUDevice, for computing, and {@linkcode wait}. Once it is lost, nothing that is asked of it reaches the
 * library: objects are made that do nothing, as the standard has it.
 */
export class WgpuDevice extends EventTarget implements Disposable {
  label: string;
  readonly features: ReadonlySet<string>;
  readonly limits: GPUSupportedLimits;
  readonly adapterInfo: GPUAdapterInfo;
  readonly queue: WgpuQueue;
  readonly lost: Promise<GPUDeviceLostInfo>;
  readonly symbols: Symbols;
  readonly callbacks: CallbackTable;
  readonly unsubmitted: Unsubmitted;
  readonly scratch = new Scratch();
  readonly errors = new ErrorScopes((error) => this.#uncaptured(error));
  /** Errors so far. */
  errorCount = 0;
  /** Buffers and query sets that were destroyed so far. */
  destructions = 0;
  /** Buffers that are mapped or about to be. */
  readonly mapped = new Set<WgpuBuffer>();
  readonly #pointer: Deno.PointerValue;
  readonly #handles = new Handles();
  readonly #waiting: Waiting;
  readonly #listeners: readonly number[];
  readonly #closed: (device: WgpuDevice) => void;
  readonly #submission = new BigUint64Array(1);
  #lose: (info: GPUDeviceLostInfo) => void = () => {};
  #alive = true;
  #destroyed = false;

  /** Made by an adapter; `listeners` are the registered callbacks of errors and of the loss. */
  constructor(opened: Opened, listeners: readonly number[]) {
    super();
    this.label = opened.label;
    this.symbols = opened.symbols;
    this.callbacks = opened.callbacks;
    this.unsubmitted = opened.unsubmitted;
    this.features = opened.features;
    this.limits = opened.limits;
    this.adapterInfo = opened.adapterInfo;
    this.#pointer = opened.pointer;
    this.#listeners = listeners;
    this.#closed = opened.closed;
    this.#waiting = new Waiting(() => this.#alive && this.symbols.wgpuDevicePoll(this.#pointer, 0, null));
    this.lost = new Promise((resolve) => this.#lose = resolve);
    this.queue = new WgpuQueue(this, this.symbols.wgpuDeviceGetQueue(this.#pointer));
  }

  /** Neither destroyed nor lost. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Objects of the C library that are not released. */
  get liveHandles(): number {
    return this.#handles.count;
  }

  createBuffer(descriptor: GPUBufferDescriptor): WgpuBuffer {
    return new WgpuBuffer(this, descriptor);
  }

  createBindGroupLayout(descriptor: GPUBindGroupLayoutDescriptor): WgpuBindGroupLayout {
    return new WgpuBindGroupLayout(this, descriptor);
  }

  createPipelineLayout(descriptor: GPUPipelineLayoutDescriptor): WgpuPipelineLayout {
    return new WgpuPipelineLayout(this, descriptor);
  }

  createBindGroup(descriptor: GPUBindGroupDescriptor): WgpuBindGroup {
    return new WgpuBindGroup(this, descriptor);
  }

  createShaderModule(descriptor: GPUShaderModuleDescriptor): WgpuShaderModule {
    return new WgpuShaderModule(this, descriptor);
  }

  createComputePipeline(descriptor: GPUComputePipelineDescriptor): WgpuComputePipeline {
    return new WgpuComputePipeline(this, descriptor);
  }

  /** Compiles at once, as the library does. Rejects with what would be an error of the device otherwise. */
  createComputePipelineAsync(descriptor: GPUComputePipelineDescriptor): Promise<WgpuComputePipeline> {
    const { result, error } = this.errors.watch(() => new WgpuComputePipeline(this, descriptor));
    if (error === null) return Promise.resolve(result);
    const reason = error instanceof GPUValidationError ? "validation" : "internal";
    return Promise.reject(new GPUPipelineError(error.message, { reason }));
  }

  createCommandEncoder(descriptor?: GPUCommandEncoderDescriptor): WgpuCommandEncoder {
    return new WgpuCommandEncoder(this, descriptor);
  }

  createQuerySet(descriptor: GPUQuerySetDescriptor): WgpuQuerySet {
    return new WgpuQuerySet(this, descriptor);
  }

  pushErrorScope(filter: GPUErrorFilter): undefined {
    this.errors.push(filter);
  }

  // deno-lint-ignore require-await -- so that it rejects rather than throws
  async popErrorScope(): Promise<GPUError | null> {
    return this.errors.pop();
  }

  /**
   * Waits, without letting anything else run, until the device has done a submission and those before it, or all where none is
   * given. Not in the standard.
   */
  wait(submission: bigint | null = null): void {
    if (!this.#alive) return;
    if (submission === null) this.symbols.wgpuDevicePoll(this.#pointer, 1, null);
    else {
      this.#submission[0] = submission;
      this.symbols.wgpuDevicePoll(this.#pointer, 1, this.#submission);
    }
  }

  /** Ends it and frees all that was made with it, whoever still has it. */
  destroy(): undefined {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#end({ reason: "destroyed", message: "the device was destroyed" });
    this.symbols.wgpuDeviceDestroy(this.#pointer);
    this.#handles.releaseAll();
    this.symbols.wgpuDeviceRelease(this.#pointer);
    for (const id of this.#listeners) this.callbacks.forget(id);
    this.#closed(this);
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  /** The library tells of an error, within the call that caused it. */
  heardError(type: number, message: string): void {
    this.errorCount++;
    this.errors.report(errorOf(type, message));
  }

  /** The library tells that the device is gone. */
  heardLoss(message: string): void {
    this.errorCount++;
    this.#end({ reason: "unknown" as GPUDeviceLostReason, message: message.trim() });
  }

  /** Makes an object of the library. Without a descriptor it is made as usual. */
  create(
    wrapper: object,
    kind: Created,
    release: (pointer: Deno.PointerValue) => void,
    describe: Describe | null,
  ): Handle {
    const descriptor = describe?.() ?? null;
    const make = this.symbols[`wgpuDeviceCreate${kind}`];
    return this.adopt(wrapper, this.#alive ? make(this.#pointer, descriptor) : null, release);
  }

  /** An object that does nothing, as what was asked for is wrong. */
  refuse(wrapper: object, message: string): Handle {
    if (this.#alive) this.errors.report(new GPUValidationError(message));
    return this.adopt(wrapper, null, () => {});
  }

  adopt(wrapper: object, pointer: Deno.PointerValue, release: (pointer: Deno.PointerValue) => void): Handle {
    return this.#handles.adopt(wrapper, pointer, release);
  }

  /** The C object behind one of ours. */
  pointer({ handle, device = this }: { readonly handle: Handle; readonly device?: WgpuDevice }): Deno.PointerValue {
    if (device !== this) throw new TypeError("Cannot use an object of another device");
    if (handle.pointer === null && this.#alive) throw new TypeError("Cannot use an object that was not created");
    return handle.pointer;
  }

  /** Has the device call back; see {@linkcode Waiting.add}. */
  waiting(lost?: () => void): () => void {
    return this.#waiting.add(lost);
  }

  #end(info: GPUDeviceLostInfo): void {
    if (!this.#alive) return;
    if (this.#destroyed) { for (const buffer of [...this.mapped]) buffer.unmap(); }
    this.#alive = false;
    this.#waiting.end();
    this.#lose(info);
  }

  /** Told a turn later, as events are. */
  #uncaptured(error: GPUError): void {
    queueMicrotask(() => {
      // deno-lint-ignore no-console -- the standard wants a warning where nobody takes care of it
      if (this.dispatchEvent(new UncapturedErrorEvent(error))) console.error(`WebGPU error: ${error.message}`);
    });
  }
}

/** Recording: command encoders, compute passes, command buffers. */
import type { WgpuBuffer } from "./buffer.ts";
import type { WgpuDevice } from "./device.ts";
import type { Handle } from "./handles.ts";
import type { WgpuBindGroup, WgpuComputePipeline, WgpuQuerySet } from "./resources.ts";
import { STRUCTS } from "./webgpu_h.ts";

/** What commands use that could be destroyed before they are submitted. */
export type Used = WgpuBindGroup | WgpuBuffer | WgpuQuerySet;

/** As the standard's GPUCommandBuffer. */
export class WgpuCommandBuffer implements GPUCommandBuffer {
  label: string;
  readonly handle: Handle;
  readonly used: readonly Used[];
  /** Those that can be mapped, which they must not be when the commands are submitted. */
  readonly mappable: readonly WgpuBuffer[];
  /** How many things of the device had been destroyed when recording began. */
  readonly destructions: number;
  /** Cleared as it is submitted. */
  valid: boolean;

  readonly #submitted: { is: boolean };

  constructor(
    { device, used, mappable, destructions }: WgpuCommandEncoder,
    label: string,
    pointer: Deno.PointerValue,
    valid: boolean,
  ) {
    const [{ symbols, unsubmitted }, submitted] = [device, { is: false }];
    this.label = label;
    this.used = used;
    this.mappable = mappable;
    this.destructions = destructions;
    this.valid = valid;
    this.#submitted = submitted; // not `this`, which the release would keep alive
    this.handle = device.adopt(this, pointer, (commands) => {
      if (submitted.is) symbols.wgpuCommandBufferRelease(commands);
      else unsubmitted.release(commands);
    });
  }

  /** Frees the commands, which are submitted only once. */
  spend(submission: bigint | null): void {
    this.valid = false;
    this.#submitted.is = submission !== null;
    if (submission !== null) { for (const buffer of this.mappable) buffer.lastSubmission = submission; }
    this.handle.release();
  }
}

/** As the standard's GPUCommandEncoder, for computing and copying buffers. */
export class WgpuCommandEncoder implements GPUObjectBase {
  label: string;
  readonly device: WgpuDevice;
  readonly handle: Handle;
  readonly used: Used[] = [];
  readonly mappable: WgpuBuffer[] = [];
  readonly destructions: number;
  #valid = true;

  constructor(device: WgpuDevice, { label = "" }: GPUCommandEncoderDescriptor = {}) {
    const { symbols, scratch } = device;
    this.label = label;
    this.device = device;
    this.destructions = device.destructions;
    this.handle = device.create(
      this,
      "CommandEncoder",
      symbols.wgpuCommandEncoderRelease,
      label === "" ? null : () => scratch.descriptor(STRUCTS.CommandEncoderDescriptor, { label }),
    );
  }

  beginComputePass({ label = "", timestampWrites }: GPUComputePassDescriptor = {}): WgpuComputePassEncoder {
    const { symbols, scratch } = this.device;
    let descriptor: Uint8Array<ArrayBuffer> | null = null;
    if (label !== "" || timestampWrites !== undefined) {
      const members = { label, timestampWrites: timestampWrites ? this.#timestamps(timestampWrites) : 0 };
      descriptor = scratch.descriptor(STRUCTS.ComputePassDescriptor, members);
    }
    const pointer = this.#open() && symbols.wgpuCommandEncoderBeginComputePass(this.handle.pointer, descriptor);
    return new WgpuComputePassEncoder(this, label, pointer);
  }

  copyBufferToBuffer(
    source: GPUBuffer,
    sourceOffset: number | GPUBuffer,
    destination?: GPUBuffer | number,
    destinationOffset = 0,
    size?: number,
  ): undefined {
    // The short form: source, destination, size.
    if (typeof sourceOffset !== "number") {
      return this.copyBufferToBuffer(source, 0, sourceOffset, 0, destination as number);
    }
    const [from, to] = [source as WgpuBuffer, destination as WgpuBuffer];
    if (!this.#open() || !this.#use(from) || !this.#use(to)) return;
    const bytes = size ?? Math.min(from.size - sourceOffset, to.size - destinationOffset);
    const { symbols } = this.device;
    const [begin, target] = [BigInt(sourceOffset), BigInt(destinationOffset)];
    const { pointer } = this.handle;
    symbols.wgpuCommandEncoderCopyBufferToBuffer(
      pointer,
      from.handle.pointer,
      begin,
      to.handle.pointer,
      target,
      BigInt(bytes),
    );
  }

  clearBuffer(buffer: GPUBuffer, offset = 0, size?: number): undefined {
    const cleared = buffer as WgpuBuffer;
    const bytes = size ?? cleared.size - offset;
    if (!this.#open() || !this.#use(cleared) || bytes === 0) return;
    const { symbols } = this.device;
    symbols.wgpuCommandEncoderClearBuffer(this.handle.pointer, cleared.handle.pointer, BigInt(offset), BigInt(bytes));
  }

  resolveQuerySet(
    querySet: GPUQuerySet,
    first: number,
    count: number,
    destination: GPUBuffer,
    offset: number,
  ): undefined {
    const [queries, to] = [querySet as WgpuQuerySet, destination as WgpuBuffer];
    if (!this.#open() || !this.#use(queries) || !this.#use(to)) return;
    const { symbols } = this.device;
    const { pointer } = this.handle;
    symbols.wgpuCommandEncoderResolveQuerySet(
      pointer,
      queries.handle.pointer,
      first,
      count,
      to.handle.pointer,
      BigInt(offset),
    );
  }

  finish({ label = "" }: GPUCommandBufferDescriptor = {}): WgpuCommandBuffer {
    const { device, handle } = this;
    const { symbols, scratch } = device;
    const open = this.#open();
    const before = device.errorCount;
    const descriptor = label === "" ? null : scratch.descriptor(STRUCTS.CommandBufferDescriptor, { label });
    const pointer = open ? symbols.wgpuCommandEncoderFinish(handle.pointer, descriptor) : null;
    const valid = this.#valid && pointer !== null && device.errorCount === before;
    handle.release();
    return new WgpuCommandBuffer(this, label, pointer, valid);
  }

  /** What was recorded cannot be submitted. */
  invalidate(reason: string): void {
    this.#valid = false;
    if (this.device.alive) this.device.errors.report(new GPUValidationError(reason));
  }

  /** Whether commands can be recorded. */
  #open(): boolean {
    if (this.handle.pointer !== null) return true;
    this.invalidate("Cannot record: the command encoder is finished");
    return false;
  }

  /** Notes what commands use; false if they cannot use it. */
  #use(used: WgpuBuffer | WgpuQuerySet): boolean {
    if (used.device !== this.device || used.handle.pointer === null) {
      this.invalidate("Cannot record: a buffer or query set is of another device, or was not created");
      return false;
    }
    this.used.push(used);
    if ("mappable" in used && used.mappable) this.mappable.push(used);
    return true;
  }

  #timestamps({ querySet, beginningOfPassWriteIndex, endOfPassWriteIndex }: GPUComputePassTimestampWrites): number {
    const queries = querySet as WgpuQuerySet;
    if (!this.#use(queries)) return 0;
    return this.device.scratch.struct<"PassTimestampWrites">(STRUCTS.PassTimestampWrites, {
      querySet: queries.handle.pointer,
      beginningOfPassWriteIndex: beginningOfPassWriteIndex ?? Infinity,
      endOfPassWriteIndex: endOfPassWriteIndex ?? Infinity,
    });
  }
}

/** As the standard's GPUComputePassEncoder. Its calls go to the C library as they are, without anything in between. */
export class WgpuComputePassEncoder implements GPUObjectBase {
  label: string;
  readonly #encoder: WgpuCommandEncoder;
  readonly #device: WgpuDevice;
  readonly #used: Used[];
  /** Released as the pass ends. */
  readonly #handle: Handle;

  constructor(encoder: WgpuCommandEncoder, label: string, pointer: Deno.PointerValue | false) {
    this.label = label;
    this.#encoder = encoder;
    this.#device = encoder.device;
    this.#used = encoder.used;
    this.#handle = this.#device.adopt(this, pointer || null, this.#device.symbols.wgpuComputePassEncoderRelease);
  }

  setPipeline(pipeline: GPUComputePipeline): undefined {
    const { handle, device } = pipeline as WgpuComputePipeline;
    if (!this.#takes(device, handle)) return;
    this.#device.symbols.wgpuComputePassEncoderSetPipeline(this.#handle.pointer, handle.pointer);
  }

  setBindGroup(
    index: number,
    bindGroup: GPUBindGroup | null,
    offsets?: Iterable<number> | Uint32Array,
    start = 0,
    length?: number,
  ): undefined {
    const set = this.#device.symbols.wgpuComputePassEncoderSetBindGroup;
    if (bindGroup === null) {
      if (this.#handle.pointer !== null) set(this.#handle.pointer, index, null, 0n, null);
      return;
    }
    const bound = bindGroup as WgpuBindGroup;
    if (!this.#takes(bound.device, bound.handle)) return;
    this.#used.push(bound);
    if (offsets === undefined) set(this.#handle.pointer, index, bound.handle.pointer, 0n, null);
    else {
      const all = Uint32Array.from(offsets).slice(start, length === undefined ? undefined : start + length);
      set(this.#handle.pointer, index, bound.handle.pointer, BigInt(all.length), all.length > 0 ? all : null);
    }
  }

  dispatchWorkgroups(x: number, y = 1, z = 1): undefined {
    if (this.#handle.pointer === null) return this.#ended();
    this.#device.symbols.wgpuComputePassEncoderDispatchWorkgroups(this.#handle.pointer, x, y, z);
  }

  dispatchWorkgroupsIndirect(buffer: GPUBuffer, offset: number): undefined {
    const { handle, device } = buffer as WgpuBuffer;
    if (!this.#takes(device, handle)) return;
    this.#used.push(buffer as WgpuBuffer);
    const dispatch = this.#device.symbols.wgpuComputePassEncoderDispatchWorkgroupsIndirect;
    dispatch(this.#handle.pointer, handle.pointer, BigInt(offset));
  }

  end(): undefined {
    if (this.#handle.pointer === null) return this.#ended();
    const { symbols } = this.#device;
    symbols.wgpuComputePassEncoderEnd(this.#handle.pointer);
    this.#handle.release();
  }

  /** Whether the pass goes on and can use an object. */
  #takes(device: WgpuDevice, handle: Handle): boolean {
    if (this.#handle.pointer !== null && device === this.#device && handle.pointer !== null) return true;
    if (this.#handle.pointer === null) this.#ended();
    else this.#encoder.invalidate("Cannot record: an object is of another device, or was not created");
    return false;
  }

  #ended(): undefined {
    this.#encoder.invalidate("Cannot record: the compute pass has ended");
  }
}

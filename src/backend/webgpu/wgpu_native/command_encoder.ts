/** Recording: copies, and passes between them. */
import type { WgpuBuffer } from "./buffer.ts";
import { type Used, WgpuCommandBuffer } from "./command_buffer.ts";
import { WgpuComputePassEncoder } from "./compute_pass.ts";
import type { WgpuDevice } from "./device.ts";
import type { Handle } from "./handles.ts";
import type { WgpuQuerySet } from "./resources.ts";
import { STRUCTS } from "./webgpu_h.ts";

/** As the standard's GPUCommandEncoder, for computing and copying buffers. */
export class WgpuCommandEncoder implements GPUObjectBase {
  label: string;
  readonly device: WgpuDevice;
  readonly handle: Handle;
  readonly used: Used[] = [];
  readonly mappable: WgpuBuffer[] = [];
  #valid = true;

  constructor(device: WgpuDevice, { label = "" }: GPUCommandEncoderDescriptor = {}) {
    const { symbols, scratch } = device;
    this.label = label;
    this.device = device;
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
    const errors = this.device.errorCount;
    const pointer = this.#open() ? symbols.wgpuCommandEncoderBeginComputePass(this.handle.pointer, descriptor) : null;
    this.judge(errors);
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
    const bytes = size ?? Math.max(0, Math.min(from.size - sourceOffset, to.size - destinationOffset));
    const { symbols, errorCount } = this.device;
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
    this.judge(errorCount);
  }

  clearBuffer(buffer: GPUBuffer, offset = 0, size?: number): undefined {
    const cleared = buffer as WgpuBuffer;
    const bytes = size ?? Math.max(0, cleared.size - offset);
    if (!this.#open() || !this.#use(cleared) || bytes === 0) return;
    const { symbols, errorCount } = this.device;
    symbols.wgpuCommandEncoderClearBuffer(this.handle.pointer, cleared.handle.pointer, BigInt(offset), BigInt(bytes));
    this.judge(errorCount);
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
    const { symbols, errorCount } = this.device;
    const { pointer } = this.handle;
    symbols.wgpuCommandEncoderResolveQuerySet(
      pointer,
      queries.handle.pointer,
      first,
      count,
      to.handle.pointer,
      BigInt(offset),
    );
    this.judge(errorCount);
  }

  finish({ label = "" }: GPUCommandBufferDescriptor = {}): WgpuCommandBuffer {
    const { device, handle } = this;
    const { symbols, scratch } = device;
    const open = this.#open();
    const { errorCount } = device;
    const descriptor = label === "" ? null : scratch.descriptor(STRUCTS.CommandBufferDescriptor, { label });
    const pointer = open ? symbols.wgpuCommandEncoderFinish(handle.pointer, descriptor) : null;
    this.judge(errorCount);
    handle.release();
    return new WgpuCommandBuffer(this, label, pointer, this.#valid && pointer !== null);
  }

  /** What was recorded cannot be submitted. */
  invalidate(reason: string): void {
    this.#valid = false;
    if (this.device.alive) this.device.errors.report(new GPUValidationError(reason));
  }

  /** Whatever the device has complained of since then, is of what was recorded. */
  judge(errorCount: number): void {
    if (this.device.errorCount !== errorCount) this.#valid = false;
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

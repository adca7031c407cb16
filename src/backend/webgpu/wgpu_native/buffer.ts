/** Buffers of a device, and reading them. */
import type { WgpuDevice } from "./device.ts";
import type { Handle } from "./handles.ts";
import { ENUMS, STRUCTS } from "./webgpu_h.ts";

const { MAP_READ, MAP_WRITE, QUERY_RESOLVE } = GPUBufferUsage;

/** All usages there are. */
const USAGES = 2 * QUERY_RESOLVE - 1;

const operationError = (message: string) => new DOMException(message, "OperationError");

/** Part of a buffer that lies in our memory. */
interface Mapping {
  readonly begin: number;
  readonly end: number;
  /** Given out, and taken back when the buffer is unmapped. */
  readonly ranges: { readonly begin: number; readonly end: number; readonly memory: ArrayBuffer }[];
}

/** As the standard's GPUBuffer, and {@linkcode readSync}. */
export class WgpuBuffer implements GPUBuffer {
  label: string;
  readonly size: number;
  readonly usage: number;
  readonly device: WgpuDevice;
  readonly handle: Handle;
  destroyed = false;
  /** The submission that used it last, of those that copy from or to it; only kept where it can be mapped. */
  lastSubmission: bigint | null = null;
  #mapping: Mapping | null = null;
  #pending: { readonly reject: (error: Error) => void; readonly id: number } | null = null;

  /** Made by {@linkcode WgpuDevice.createBuffer}. */
  constructor(device: WgpuDevice, { label = "", size, usage, mappedAtCreation = false }: GPUBufferDescriptor) {
    this.label = label;
    this.size = size;
    this.usage = usage;
    this.device = device;
    const { scratch, symbols } = device;
    this.handle = usage > 0 && usage <= USAGES
      ? device.create(
        this,
        "Buffer",
        symbols.wgpuBufferRelease,
        () =>
          scratch.descriptor(STRUCTS.BufferDescriptor, {
            label,
            size,
            usage,
            mappedAtCreation: Number(mappedAtCreation),
          }),
      )
      : device.refuse(this, `Cannot create ${this.#name}: ${usage} is no usage of buffers`);
    if (mappedAtCreation && this.handle.pointer !== null) this.#mapped(0, size);
  }

  get mapState(): GPUBufferMapState {
    if (this.#pending) return "pending";
    return this.#mapping ? "mapped" : "unmapped";
  }

  /** Mapped or about to be, so that commands must not use it. */
  get mapped(): boolean {
    return this.mapState !== "unmapped";
  }

  /** Whether it can ever be mapped. */
  get mappable(): boolean {
    return (this.usage & (MAP_READ | MAP_WRITE)) !== 0;
  }

  /**
   * Resolves once the device has done what uses the buffer.
   * @throws {DOMException} if it cannot be mapped, or is unmapped, destroyed or lost before
   */
  mapAsync(mode: number, offset = 0, size: number = Math.max(0, this.size - offset)): Promise<undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const refusal = this.#refusal(mode);
    if (refusal !== null) {
      reject(refusal);
      return promise;
    }
    const done = this.device.waiting();
    const id = this.device.callbacks.register((status, _, message) => {
      this.device.callbacks.forget(id);
      done();
      if (this.#pending?.id !== id) return;
      this.#pending = null;
      this.device.mapped.delete(this);
      if (status !== ENUMS.MapAsyncStatus.Success) {
        reject(operationError(`Cannot map ${this.#name}: ${message.trim()}`));
      } else {
        this.#mapped(offset, size);
        resolve(undefined);
      }
    });
    this.#pending = { reject, id };
    this.device.mapped.add(this);
    this.#map(mode, offset, size, id);
    return promise;
  }

  /**
   * Waits, without letting anything else run, until the device has done what was last submitted that copies to this buffer, and
   * nothing that was submitted later; then gives its first bytes. Not in the standard.
   * @throws {DOMException} if it cannot be mapped
   */
  readSync(bytes: number = this.size): ArrayBuffer {
    const refusal = this.#refusal(GPUMapMode.READ);
    if (refusal !== null) throw refusal;
    let mapped = false;
    const id = this.device.callbacks.register((status) => mapped = status === ENUMS.MapAsyncStatus.Success);
    try {
      this.#map(GPUMapMode.READ, 0, bytes, id);
      this.device.wait(this.lastSubmission);
      if (!mapped) this.device.wait(); // where buffers that can be mapped are also bound, which nobody notes
      if (!mapped) throw operationError(`Cannot map ${this.#name}: the device refused it`);
      const copy = new ArrayBuffer(bytes);
      Deno.UnsafePointerView.copyInto(this.#address(0, bytes), new Uint8Array(copy));
      this.device.symbols.wgpuBufferUnmap(this.handle.pointer);
      return copy;
    } finally {
      this.device.callbacks.forget(id);
    }
  }

  /**
   * Memory of the buffer, until it is unmapped.
   * @throws {DOMException} if that part is not mapped or was given out before
   */
  getMappedRange(offset = 0, size: number = Math.max(0, this.size - offset)): ArrayBuffer {
    const mapping = this.#mapping;
    if (mapping === null || this.handle.pointer === null) {
      throw operationError(`Cannot use ${this.#name}: it is not mapped`);
    }
    if (offset % 8 !== 0 || size % 4 !== 0 || offset < mapping.begin || offset + size > mapping.end) {
      throw operationError(
        `Cannot use ${size} bytes from ${offset} on of ${this.#name}: bytes ${mapping.begin} to ${mapping.end} are ` +
          `mapped, and ranges are multiples of 4 bytes that begin at multiples of 8`,
      );
    }
    const end = offset + size;
    if (mapping.ranges.some((range) => offset < range.end && end > range.begin)) {
      throw operationError(`Cannot use bytes ${offset} to ${end} of ${this.#name}: some were given out before`);
    }
    if (size === 0) return new ArrayBuffer(0);
    const memory = Deno.UnsafePointerView.getArrayBuffer(this.#address(offset, size), size);
    mapping.ranges.push({ begin: offset, end, memory });
    return memory;
  }

  unmap(): undefined {
    const { handle } = this;
    const isMapped = this.mapState !== "unmapped";
    this.#abort("it was unmapped");
    for (const { memory } of this.#mapping?.ranges ?? []) memory.transfer(0);
    this.#mapping = null;
    this.device.mapped.delete(this);
    if (isMapped && handle.pointer !== null) this.device.symbols.wgpuBufferUnmap(handle.pointer);
  }

  destroy(): undefined {
    if (this.destroyed) return;
    this.unmap();
    this.destroyed = true;
    this.device.destructions++;
    if (this.handle.pointer !== null) this.device.symbols.wgpuBufferDestroy(this.handle.pointer);
  }

  /** Rejects what waits for the buffer to be mapped. */
  #abort(reason: string): void {
    const pending = this.#pending;
    this.#pending = null;
    pending?.reject(new DOMException(`Cannot map ${this.#name}: ${reason}`, "AbortError"));
  }

  #mapped(begin: number, size: number): void {
    this.#mapping = { begin, end: begin + size, ranges: [] };
    this.device.mapped.add(this);
  }

  #map(mode: number, offset: number, size: number, id: number): void {
    const { symbols, callbacks } = this.device;
    const info = callbacks.info("BufferMapCallback", id);
    symbols.wgpuBufferMapAsync(this.handle.pointer, BigInt(mode), BigInt(offset), BigInt(size), info);
  }

  #address(offset: number, size: number): Deno.PointerObject {
    return this.device.symbols.wgpuBufferGetMappedRange(this.handle.pointer, BigInt(offset), BigInt(size))!;
  }

  #refusal(mode: number): Error | null {
    const usage = mode === GPUMapMode.READ ? MAP_READ : mode === GPUMapMode.WRITE ? MAP_WRITE : 0;
    if (!this.device.alive) return new DOMException(`Cannot map ${this.#name}: the device is lost`, "AbortError");
    if (this.destroyed || this.handle.pointer === null) return this.#invalid("it is destroyed");
    if ((this.usage & usage) === 0) return this.#invalid("it was not created for that");
    return this.mapState === "unmapped" ? null : this.#invalid(`it is ${this.mapState} already`);
  }

  #invalid(reason: string): Error {
    const message = `Cannot map ${this.#name}: ${reason}`;
    this.device.errors.report(new GPUValidationError(message));
    return operationError(message);
  }

  get #name(): string {
    return this.label === "" ? "the buffer" : `the buffer "${this.label}"`;
  }
}

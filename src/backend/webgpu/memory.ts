/** Buffers: tensors, split by rows where they are larger than a binding may be, and the small things beside them. */
import { OutOfMemoryError } from "../backend.ts";
import { byteLength, type DataType, ELEMENT_BYTES, elements, type Tensor, type TensorShape } from "../tensor.ts";
import type { Device } from "./device.ts";

/** Consecutive rows of a tensor in one buffer. A row is the last axis; rows count through all axes before it. */
export interface Part {
  readonly buffer: GPUBuffer;
  readonly first: number;
  readonly count: number;
}

/** A tensor on the device. */
export class GpuTensor implements Tensor {
  constructor(
    readonly label: string,
    readonly dtype: DataType,
    readonly shape: readonly number[],
    /** In order, covering all rows. */
    readonly parts: readonly Part[],
  ) {}

  /** Bytes of one row. */
  get rowBytes(): number {
    return this.shape.at(-1)! * ELEMENT_BYTES[this.dtype];
  }

  /** The parts that hold the bytes [begin, end), each with the range within it. */
  *ranges(begin: number, end: number): Generator<{ part: Part; from: number; bytes: number; offset: number }> {
    for (const part of this.parts) {
      const start = part.first * this.rowBytes;
      const low = Math.max(begin, start);
      const high = Math.min(end, start + part.count * this.rowBytes);
      if (low < high) yield { part, from: low - start, bytes: high - low, offset: low - begin };
    }
  }
}

/** Kernels read up to 16 bytes at once. */
const ALIGNMENT = 16;

/** Bytes of the largest element that a kernel reads: 16 weights of 32 bits. */
const WIDEST = 64;

/** Each write keeps a copy until the next submit; this bounds them. */
const MAX_UNSUBMITTED_BYTES = 256 * 2 ** 20;

/** Bytes that tensors which are made while steps run leave for what plans need: a device without room for that is of no use. */
const RESERVE = 128 * 2 ** 20;

/** Largest single write, small enough to stop in time. */
const WRITE_BYTES = 32 * 2 ** 20;

const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;

/** The memory of one device. */
export class Memory {
  readonly #device: Device;
  readonly #uniforms = new Map<string, GPUBuffer>();
  #bytes = 0;
  #unsubmitted = 0;
  #nothing: GPUBuffer | null = null;

  constructor(device: Device) {
    this.#device = device;
  }

  /** Bytes of all buffers, padding included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A buffer of zeros. That the device has no room for it surfaces in {@linkcode Device.settled}. */
  buffer(label: string, bytes: number, usage: number = STORAGE | COPY_SRC | COPY_DST): GPUBuffer {
    const size = Math.max(1, Math.ceil(bytes / ALIGNMENT)) * ALIGNMENT;
    const used = this.#bytes;
    this.#bytes += size;
    return this.#device.guarded(
      "out-of-memory",
      () => this.#device.gpu.createBuffer({ label, size, usage }),
      () => new OutOfMemoryError(label, size, this.#device.name, used),
    );
  }

  /** A uniform buffer of this content; equal ones are shared. */
  uniform(content: ArrayBuffer): GPUBuffer {
    const key = new Uint32Array(content).join();
    const known = this.#uniforms.get(key);
    if (known !== undefined) return known;
    const buffer = this.buffer("params", content.byteLength, UNIFORM | COPY_DST);
    this.#device.gpu.queue.writeBuffer(buffer, 0, content);
    this.#uniforms.set(key, buffer);
    return buffer;
  }

  /** Bound where a variant reads nothing. */
  get nothing(): GPUBuffer {
    return this.#nothing ??= this.buffer("nothing", WIDEST);
  }

  /**
   * A tensor of zeros, in parts of whole matrices, or of whole rows where a matrix is larger than a binding may be.
   * @throws {RangeError} if not even one row fits
   */
  tensor(label: string, dtype: DataType, shape: readonly number[]): GpuTensor {
    const rowBytes = shape.at(-1)! * ELEMENT_BYTES[dtype];
    const rows = elements(shape.slice(0, -1));
    const perPart = rowsPerPart(shape.slice(0, -1), Math.floor(this.#device.maxBindingBytes / rowBytes));
    if (perPart === 0) {
      throw new RangeError(
        `Cannot hold ${label} [${shape}]: one row has ${rowBytes} bytes, and ${this.#device.name} binds at most ` +
          `${this.#device.maxBindingBytes}; use another device or --backend wasm`,
      );
    }
    const parts: Part[] = [];
    for (let first = 0; first < rows; first += perPart) {
      const count = Math.min(perPart, rows - first);
      parts.push({ buffer: this.buffer(label, count * rowBytes), first, count });
    }
    return new GpuTensor(label, dtype, shape, parts);
  }

  /**
   * Tensors of zeros in one piece each, all or none.
   * @throws {OutOfMemoryError} if the device has no room for them
   */
  async allocate(wanted: readonly TensorShape[]): Promise<GpuTensor[]> {
    const { gpu, name } = this.#device;
    const sizes = wanted.map((tensor) => Math.ceil(byteLength(tensor) / ALIGNMENT) * ALIGNMENT);
    gpu.pushErrorScope("out-of-memory");
    const buffers = wanted.map(({ label }, i) =>
      gpu.createBuffer({ label, size: sizes[i]!, usage: STORAGE | COPY_SRC | COPY_DST })
    );
    gpu.createBuffer({ label: "reserve", size: RESERVE, usage: COPY_DST }).destroy();
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (await gpu.popErrorScope() !== null) {
      for (const buffer of buffers) buffer.destroy();
      throw new OutOfMemoryError(wanted[0]!.label, bytes, name, this.#bytes);
    }
    this.#bytes += bytes;
    return wanted.map(({ label, dtype, shape }, i) => {
      const count = elements(shape.slice(0, -1));
      return new GpuTensor(label, dtype, shape, [{ buffer: buffers[i]!, first: 0, count }]);
    });
  }

  /** Writes `bytes` from byte `begin` on. Resolves when few enough copies are pending. */
  async write(tensor: GpuTensor, begin: number, bytes: Uint8Array): Promise<void> {
    if (begin + bytes.length > byteLength(tensor)) {
      throw new RangeError(
        `Cannot write ${bytes.length} bytes from byte ${begin} on into ${tensor.label}: it has ${byteLength(tensor)}`,
      );
    }
    for (const { part, from, bytes: size, offset } of tensor.ranges(begin, begin + bytes.length)) {
      for (let at = 0; at < size; at += WRITE_BYTES) {
        const slice = bytes.subarray(offset + at, offset + Math.min(size, at + WRITE_BYTES));
        await this.#room(slice.length);
        this.#device.gpu.queue.writeBuffer(part.buffer, from + at, slice as Uint8Array<ArrayBuffer>);
      }
    }
  }

  /** Lets the device work off pending copies before there are too many. */
  async #room(bytes: number): Promise<void> {
    this.#unsubmitted += bytes;
    if (this.#unsubmitted <= MAX_UNSUBMITTED_BYTES) return;
    this.#unsubmitted = bytes;
    const { queue } = this.#device.gpu;
    queue.submit([]);
    await queue.onSubmittedWorkDone();
    await this.#device.settled();
  }
}

/** How many of `most` rows make whole matrices: the largest product of trailing axes that fits, times a whole number. */
function rowsPerPart(axes: readonly number[], most: number): number {
  let unit = 1;
  for (const size of axes.toReversed()) {
    if (unit * size > most) break;
    unit *= size;
  }
  return Math.floor(most / unit) * unit;
}

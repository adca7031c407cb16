/** Bytes of a frame, one after the other: written into a buffer that grows, and read from one that ends. */
import { FrameError } from "./frame_error.ts";

/** More than what stands behind the one large array of a frame, so that this is copied once. */
const SPARE = 256;

export class Writer {
  #bytes = new Uint8Array(SPARE);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;

  /** Of the buffer as it is after the last {@linkcode take}. */
  get view(): DataView<ArrayBuffer> {
    return this.#view;
  }

  /** Makes room for `count` bytes at the next multiple of `alignment`, which is where they begin; they are 0. */
  take(count: number, alignment = 1): number {
    const start = aligned(this.#end, alignment);
    this.#end = start + count;
    if (this.#end > this.#bytes.length) this.#grow();
    return start;
  }

  put(source: ArrayBufferView, alignment: number): void {
    const start = this.take(source.byteLength, alignment);
    this.#bytes.set(new Uint8Array(source.buffer, source.byteOffset, source.byteLength), start);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#end);
  }

  #grow(): void {
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#end + SPARE));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

export class Reader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  #end = 0;

  constructor(frame: Uint8Array) {
    this.bytes = new Uint8Array(frame.buffer, frame.byteOffset, frame.length); // node's Buffer has a slice() that copies nothing
    this.view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  }

  /** Bytes that were not taken yet. */
  get left(): number {
    return this.bytes.length - this.#end;
  }

  /**
   * Where the next `count` bytes begin, at a multiple of `alignment`.
   * @throws {FrameError} if there are not so many, or those before them are not 0.
   */
  take(count: number, alignment = 1): number {
    const start = aligned(this.#end, alignment);
    if (count > this.bytes.length - start) {
      throw new FrameError(`Cannot read a frame that ends too early, after ${this.bytes.length} bytes`);
    }
    for (let i = this.#end; i < start; i++) {
      if (this.bytes[i] !== 0) throw new FrameError(`Cannot read a frame whose byte ${i} should be 0`);
    }
    this.#end = start + count;
    return start;
  }

  /** A copy of the next bytes. */
  copy(count: number, alignment: number): ArrayBuffer {
    const start = this.take(count, alignment);
    return this.bytes.slice(start, start + count).buffer;
  }

  /** @throws {FrameError} unless all was taken. */
  finish(): void {
    if (this.left > 0) {
      throw new FrameError(`Cannot read a frame that goes on for ${this.left} bytes behind its message`);
    }
  }
}

const aligned = (position: number, alignment: number): number => Math.ceil(position / alignment) * alignment;

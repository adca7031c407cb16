/** Times compute passes on the device's own clock. */
import type { Device } from "./device.ts";
import type { Memory } from "./memory.ts";
import type { Source } from "./readback.ts";

/** Two u64 of nanoseconds. */
const BYTES = 16;

/** Begin and end of the passes that ran last. */
export class Timer {
  readonly #querySet: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  /** For the descriptor of the first pass, and for that of the last. */
  readonly begin: GPUComputePassTimestampWrites;
  readonly end: GPUComputePassTimestampWrites;
  /** For a pass that is first and last. */
  readonly whole: GPUComputePassTimestampWrites;

  private constructor(querySet: GPUQuerySet, resolved: GPUBuffer) {
    this.#querySet = querySet;
    this.#resolved = resolved;
    this.begin = { querySet, beginningOfPassWriteIndex: 0 };
    this.end = { querySet, endOfPassWriteIndex: 1 };
    this.whole = { ...this.begin, ...this.end };
  }

  /** Null if the device was not opened to measure times, or cannot. */
  static create({ gpu }: Device, memory: Memory): Timer | null {
    if (!gpu.features.has("timestamp-query")) return null;
    const { QUERY_RESOLVE, COPY_SRC } = GPUBufferUsage;
    const querySet = gpu.createQuerySet({ type: "timestamp", count: 2 });
    return new Timer(querySet, memory.buffer("timestamps", BYTES, QUERY_RESOLVE | COPY_SRC));
  }

  /** Begin and end, where {@linkcode resolve} leaves them. */
  get source(): Source {
    return { buffer: this.#resolved, from: 0, bytes: BYTES };
  }

  /** After the last pass; returns what is to be read back. */
  resolve(encoder: GPUCommandEncoder): Source {
    encoder.resolveQuerySet(this.#querySet, 0, 2, this.#resolved, 0);
    return this.source;
  }

  /** Milliseconds from what was read back; the driver's clock may step back between the two, then 0. */
  static millis(bytes: ArrayBuffer): number {
    const [begin, end] = new BigUint64Array(bytes) as unknown as [bigint, bigint];
    return end > begin ? Number(end - begin) / 1e6 : 0;
  }
}

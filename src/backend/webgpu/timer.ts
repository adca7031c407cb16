/** Times compute passes on the device's own clock. */
import { MOST_STEPS } from "../../pipeline/steps.ts";
import type { Device } from "./device.ts";
import type { Memory } from "./memory.ts";
import type { Source } from "./readback.ts";

/** Two u64 of nanoseconds. */
const BYTES = 16;

/** Begin and end of the steps that ran last. */
export class Timer {
  readonly #querySet: GPUQuerySet;
  readonly #resolved: GPUBuffer;

  private constructor(querySet: GPUQuerySet, resolved: GPUBuffer) {
    this.#querySet = querySet;
    this.#resolved = resolved;
  }

  /** For the descriptor of the first pass of a run's i-th step. */
  begin(i: number): GPUComputePassTimestampWrites {
    return { querySet: this.#querySet, beginningOfPassWriteIndex: 2 * i };
  }

  /** For that of its last pass. */
  end(i: number): GPUComputePassTimestampWrites {
    return { querySet: this.#querySet, endOfPassWriteIndex: 2 * i + 1 };
  }

  /** For a pass that is first and last. */
  whole(i: number): GPUComputePassTimestampWrites {
    return { ...this.begin(i), ...this.end(i) };
  }

  /** Null if the device was not opened to measure times, or cannot. */
  static create({ gpu }: Device, memory: Memory): Timer | null {
    if (!gpu.features.has("timestamp-query")) return null;
    const { QUERY_RESOLVE, COPY_SRC } = GPUBufferUsage;
    const querySet = gpu.createQuerySet({ type: "timestamp", count: 2 * MOST_STEPS });
    return new Timer(querySet, memory.buffer("timestamps", MOST_STEPS * BYTES, QUERY_RESOLVE | COPY_SRC));
  }

  /** Begin and end of each step, where {@linkcode resolve} leaves them. */
  source(steps: number): Source {
    return { buffer: this.#resolved, from: 0, bytes: steps * BYTES };
  }

  /** After the last pass of so many steps; returns what is to be read back. */
  resolve(encoder: GPUCommandEncoder, steps: number): Source {
    encoder.resolveQuerySet(this.#querySet, 0, 2 * steps, this.#resolved, 0);
    return this.source(steps);
  }

  /** Milliseconds of all steps, from what was read back; the driver's clock may step back between two, then 0. */
  static millis(bytes: ArrayBuffer): number {
    const times = new BigUint64Array(bytes);
    let millis = 0;
    for (let i = 0; i < times.length; i += 2) millis += Math.max(0, Number(times[i + 1]! - times[i]!) / 1e6);
    return millis;
  }
}

/** Samples of what was written to a device, to be compared with what it holds: memory and drivers can be faulty. */
import type { Backend, Read } from "../backend/backend.ts";
import { ELEMENT_BYTES } from "../backend/tensor.ts";
import type { Piece } from "./weight_stream.ts";

/** Slices that are sampled, spread evenly over all bytes. */
const SAMPLES = 16;

/** Of each piece of such a slice its last bytes: what a write that was cut short lacks. */
const SAMPLE_BYTES = 2 ** 16;

export class WrittenSamples {
  #samples: Piece[] = [];
  #taken = 0;

  /** Keeps the ends of these pieces if a sample is due: `share` of all bytes was written before them. Always the last ones. */
  offer(pieces: readonly Piece[], share: number, last: boolean): void {
    if (!last && share * SAMPLES < this.#taken) return;
    this.#taken++;
    this.#samples.push(...pieces.map(endOf));
  }

  /** @throws {Error} naming the first tensor that does not hold what was written */
  async compare(backend: Backend): Promise<void> {
    const samples = this.#samples;
    this.#samples = [];
    const held = await backend.read(samples.map(readOf));
    const wrong = samples.find(({ bytes }, i) => !isEqual(bytes, new Uint8Array(held[i]!)));
    if (wrong === undefined) return;
    throw new Error(
      `Cannot use ${backend.device}: ${wrong.tensor.label} does not read back as it was written; ` +
        "the device's memory or its driver is faulty",
    );
  }
}

/** A copy, since the piece's memory is used again. */
function endOf({ tensor, offset, bytes }: Piece): Piece {
  const from = Math.max(0, bytes.length - SAMPLE_BYTES);
  return { tensor, offset: offset + from / ELEMENT_BYTES[tensor.dtype], bytes: bytes.slice(from) };
}

function readOf({ tensor, offset, bytes }: Piece): Read {
  return { tensor, from: offset, elements: bytes.length / ELEMENT_BYTES[tensor.dtype] };
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** What of a stage's states and pages was copied from its device to the host's memory, by the numbers that the engine gives them. */
import type { Backend } from "../backend/backend.ts";
import { ELEMENT_BYTES, sliceBytes, type Tensor } from "../backend/tensor.ts";
import { hostHasRoom } from "./host_memory.ts";

/** A part of what is copied: what lies at an index of a tensor's first axis. */
export interface Place {
  readonly tensor: Tensor;
  readonly index: number;
}

/** Bytes that are read at once: each of a device's buffers for reading back becomes as large as the largest read. */
const READ_BYTES = 2 ** 22;

/** Copies of one kind, all of the same places' sizes. */
export class HostCopies {
  readonly #backend: Backend;
  readonly #copies = new Map<number, readonly Uint8Array<ArrayBuffer>[]>(); // a part of each place

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /**
   * Copies what lies at some places, in place of what has this number.
   * @throws {RangeError} if the host has no memory for it
   */
  async store(copy: number, places: readonly Place[]): Promise<void> {
    const bytes = places.reduce((sum, { tensor }) => sum + sliceBytes(tensor), 0);
    if (!this.#copies.has(copy) && !hostHasRoom(bytes)) {
      throw new RangeError(`Cannot keep ${bytes} bytes in memory: others need what is left of it`);
    }
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for (const group of groupsOf(places)) parts.push(...cut(await this.#backend.gather(group.map(readOf)), group));
    // Free at once, and not when garbage is collected: what is there would be more than was allowed.
    for (const { buffer } of this.#copies.get(copy) ?? []) if (!buffer.detached) buffer.transfer(0);
    this.#copies.set(copy, parts);
  }

  /**
   * Writes a copy to as many places of the same sizes.
   * @throws {RangeError} if there is none of this number
   */
  async load(copy: number, places: readonly Place[]): Promise<void> {
    const parts = this.#copies.get(copy);
    if (parts === undefined) throw new RangeError(`Cannot load copy ${copy} from memory: there is none`);
    for (const [i, { tensor, index }] of places.entries()) {
      await this.#backend.write(tensor, index * sliceElements(tensor), parts[i]!);
    }
  }
}

const sliceElements = (tensor: Tensor) => sliceBytes(tensor) / ELEMENT_BYTES[tensor.dtype];

const readOf = ({ tensor, index }: Place) => {
  const elements = sliceElements(tensor);
  return { tensor, from: index * elements, elements };
};

/** The bytes of each place out of those of all. */
function cut(all: ArrayBuffer, places: readonly Place[]): Uint8Array<ArrayBuffer>[] {
  let end = 0;
  return places.map(({ tensor }) => new Uint8Array(all).subarray(end, end += sliceBytes(tensor)));
}

/** Places that are read together. */
function groupsOf(places: readonly Place[]): Place[][] {
  const groups: Place[][] = [];
  let room = 0;
  for (const place of places) {
    const bytes = sliceBytes(place.tensor);
    if (bytes > room) {
      groups.push([]);
      room = READ_BYTES;
    }
    groups.at(-1)!.push(place);
    room -= bytes;
  }
  return groups;
}

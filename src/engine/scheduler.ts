/** Decides which sequences have a slot and what the next step computes: first come, first served. */
import type { Segment, Step } from "../pipeline/messages.ts";
import type { Sequence } from "./sequence.ts";

/** A step, its tokens and whose they are. */
export interface Batch {
  readonly step: Step;
  /** [T] */
  readonly tokens: Uint32Array;
  /** The sequence of each segment, and how many of the step's outputs are its; they follow one another. */
  readonly shares: readonly { readonly sequence: Sequence; readonly outputs: number }[];
  /** Whether all sequences that have a slot decode in it. */
  readonly decodesAll: boolean;
}

export class Scheduler {
  readonly #maxRows: number;
  readonly #free: number[];
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = []; // by admission
  #steps = 0;
  #prefilled = false; // whether the last step was a prefill chunk

  /** @throws RangeError if the slots' decode rows do not fit in one step. */
  constructor(slots: number, maxRows: number) {
    if (slots > maxRows) {
      throw new RangeError(`Cannot decode ${slots} sequences together in steps of ${maxRows} rows: use fewer slots`);
    }
    this.#maxRows = maxRows;
    this.#free = Array.from({ length: slots }, (_, slot) => slot);
  }

  get freeSlots(): number {
    return this.#free.length;
  }

  add(sequence: Sequence): void {
    this.#waiting.push(sequence);
  }

  /** The sequence leaves; its slot is free at once, since what still runs in it runs before its next owner's first step. */
  remove(sequence: Sequence): void {
    for (const list of [this.#waiting, this.#running]) {
      const index = list.indexOf(sequence);
      if (index >= 0) list.splice(index, 1);
    }
    if (sequence.slot !== null) this.#free.push(sequence.slot);
    sequence.slot = null;
  }

  /**
   * The next step: a chunk of the oldest sequence that has several rows to go, or a row each of all that decode, by turns
   * where there are both. Null if there is nothing to compute.
   */
  schedule(): Batch | null {
    this.#admit();
    const decoding = this.#running.filter((sequence) => sequence.decoding);
    const prefilling = this.#running.find((sequence) => !sequence.decoding && sequence.pending > 0);
    this.#prefilled = prefilling !== undefined && !(this.#prefilled && decoding.length > 0);
    const sequences = this.#prefilled ? [prefilling!] : decoding;
    return sequences.length > 0 ? this.#batch(sequences) : null;
  }

  #admit(): void {
    while (this.#free.length > 0 && this.#waiting.length > 0) {
      const sequence = this.#waiting.shift()!;
      sequence.slot = this.#free.shift()!;
      this.#running.push(sequence);
    }
  }

  #batch(sequences: readonly Sequence[]): Batch {
    const segments: Segment[] = [];
    const tokens: number[] = [];
    const outputs: number[] = [];
    const shares = sequences.map((sequence) => {
      const start = sequence.computed;
      const chunk = sequence.take(this.#maxRows);
      const wanted = sequence.feeding.everyRow ? chunk.length : sequence.pending === 0 ? 1 : 0;
      segments.push({ slot: sequence.slot!, start, rows: chunk.length, ...from(sequence) });
      tokens.push(...chunk);
      for (let row = tokens.length - wanted; row < tokens.length; row++) outputs.push(row);
      return { sequence, outputs: wanted };
    });
    const step = { id: this.#steps++, segments, outputs: new Uint32Array(outputs) };
    const decodesAll = !this.#prefilled && sequences.length === this.#running.length;
    return { step, tokens: new Uint32Array(tokens), shares, decodesAll };
  }
}

/** Where a segment's state is taken from, once. */
function from(sequence: Sequence): Pick<Segment, "from"> {
  const { resume } = sequence;
  sequence.resume = null;
  return resume === null ? {} : { from: resume };
}

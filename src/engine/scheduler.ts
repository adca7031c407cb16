/** Decides which sequences have a slot and what the next step computes: first come, first served. */
import type { Segment, Step } from "../pipeline/messages.ts";
import { chunkRows, keptPositions } from "./chunks.ts";
import type { PrefixCache } from "./prefix_cache.ts";
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

export interface SchedulerOptions {
  readonly slots: number;
  readonly maxRows: number;
  /** Rows of a chunk while others decode, which wait for it; `maxRows` by default. */
  readonly rowsBeside?: number;
  /** Prompts are cut at multiples of it, so that what is kept of them has the bits of what is computed. */
  readonly alignment?: number;
  readonly cache?: PrefixCache | null;
  /** Sequences that decode in one step at most, by turns if there are more; all of them by default. */
  readonly mostDecoding?: number;
}

export class Scheduler {
  readonly #maxRows: number;
  readonly #rowsBeside: number;
  readonly #alignment: number;
  readonly #cache: PrefixCache | null;
  readonly #mostDecoding: number;
  readonly #free: number[];
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = []; // by admission
  readonly #admitted = new WeakMap<Sequence, number>(); // the step before which it was
  readonly #decoded = new WeakMap<Sequence, number>(); // the step in which it was last
  #steps = 0;
  #prefilled = false; // whether the last step was a prefill chunk

  /** @throws RangeError if the slots' decode rows do not fit in one step. */
  constructor(
    { slots, maxRows, rowsBeside = maxRows, alignment = 1, cache = null, mostDecoding = Infinity }: SchedulerOptions,
  ) {
    if (slots > maxRows) {
      throw new RangeError(`Cannot decode ${slots} sequences together in steps of ${maxRows} rows: use fewer slots`);
    }
    this.#maxRows = maxRows;
    this.#rowsBeside = Math.min(maxRows, rowsBeside);
    this.#alignment = alignment;
    this.#cache = cache;
    this.#mostDecoding = mostDecoding;
    this.#free = Array.from({ length: slots }, (_, slot) => slot);
  }

  get freeSlots(): number {
    return this.#free.length;
  }

  /** Sequences that have a slot. */
  get running(): number {
    return this.#running.length;
  }

  /** Sequences that wait for one. */
  get waiting(): number {
    return this.#waiting.length;
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
   * The next step: a chunk of a sequence that has several rows to go, or a row each of those that decode, by turns where there are
   * both. Null if there is nothing to compute.
   */
  schedule(): Batch | null {
    this.#admit();
    const decoding = this.#nextToDecode();
    const prefilling = this.#nextToRead();
    this.#prefilled = prefilling !== undefined && !(this.#prefilled && decoding.length > 0);
    const sequences = this.#prefilled ? [prefilling!] : decoding;
    return sequences.length > 0 ? this.#batch(sequences) : null;
  }

  /** All that decode, or of more than may do so together those whose last turn was first. */
  #nextToDecode(): Sequence[] {
    const decoding = this.#running.filter((sequence) => sequence.decoding);
    if (decoding.length <= this.#mostDecoding) return decoding;
    const turn = (sequence: Sequence) => this.#decoded.get(sequence) ?? -1;
    return decoding.sort((a, b) => turn(a) - turn(b)).slice(0, this.#mostDecoding);
  }

  /**
   * Of those that have several rows to go the one with the least rank: the step at which it was admitted, and a step more for each chunk
   * that it still needs. So a short prompt does not wait for a long one, and a long one only for those that come in its own time.
   */
  #nextToRead(): Sequence | undefined {
    const rank = (sequence: Sequence) => this.#admitted.get(sequence)! + sequence.pending / this.#maxRows;
    const reading = this.#running.filter((sequence) => !sequence.decoding && sequence.pending > 0);
    return reading.length === 0 ? undefined : reading.reduce((a, b) => rank(b) < rank(a) ? b : a);
  }

  #admit(): void {
    while (this.#free.length > 0 && this.#waiting.length > 0) {
      const sequence = this.#waiting.shift()!;
      sequence.slot = this.#free.shift()!;
      this.#running.push(sequence);
      this.#admitted.set(sequence, this.#steps);
    }
  }

  #batch(sequences: readonly Sequence[]): Batch {
    const segments: Segment[] = [];
    const tokens: number[] = [];
    const outputs: number[] = [];
    const drops = this.#cache?.takeDropped() ?? [];
    const shares = sequences.map((sequence) => {
      this.#decoded.set(sequence, this.#steps);
      if (sequence.computed === 0) this.#begin(sequence);
      const start = sequence.computed;
      const chunk = sequence.take(this.#rowsOf(sequence));
      const wanted = sequence.feeding.everyRow ? chunk.length : sequence.pending === 0 ? 1 : 0;
      segments.push({ slot: sequence.slot!, start, rows: chunk.length, ...from(sequence), ...this.#keep(sequence) });
      tokens.push(...chunk);
      for (let row = tokens.length - wanted; row < tokens.length; row++) outputs.push(row);
      return { sequence, outputs: wanted };
    });
    const step = {
      id: this.#steps++,
      segments,
      outputs: new Uint32Array(outputs),
      ...(drops.length > 0 && { drops }),
    };
    const decodesAll = !this.#prefilled && sequences.length === this.#running.length;
    return { step, tokens: new Uint32Array(tokens), shares, decodesAll };
  }

  /** Skips what is kept of a prompt. */
  #begin(sequence: Sequence): void {
    const hit = sequence.cutFreely ? this.#cache?.find(sequence.tokens) : null;
    if (hit) sequence.beginAt(hit.position, hit.snapshot);
  }

  #rowsOf(sequence: Sequence): number {
    const { computed: start, promptLength: length } = sequence;
    if (!sequence.cutFreely || start >= length) return this.#maxRows;
    const alone = this.#running.every((other) => other === sequence || !other.decoding);
    const [most, alignment] = [alone ? this.#maxRows : this.#rowsBeside, this.#alignment];
    return chunkRows({ start, length, most, alignment, stops: this.#cache ? this.#stops(sequence) : [] });
  }

  #stops({ promptLength, boundaries }: Sequence): number[] {
    return keptPositions(promptLength, this.#alignment, boundaries);
  }

  /** Where the states behind the chunk that was taken are kept, if they are wanted later. */
  #keep(sequence: Sequence): Pick<Segment, "keep"> {
    const { computed, promptLength, tokens } = sequence;
    if (!this.#cache || !sequence.cutFreely || computed > promptLength) return {};
    if (!this.#stops(sequence).includes(computed)) return {};
    const snapshot = this.#cache.keep(tokens, computed);
    return snapshot === null ? {} : { keep: snapshot };
  }
}

/** Where a segment's state is taken from, once. */
function from(sequence: Sequence): Pick<Segment, "from"> {
  const { resume } = sequence;
  sequence.resume = null;
  return resume === null ? {} : { from: resume };
}

/** Whose turn it is: those that decode, in as many groups as there are devices, and chunks of prompts between them. */
import type { Sequence } from "./sequence.ts";

export interface TurnsOptions {
  /** Rows of a chunk at most. */
  readonly maxRows: number;
  /** Sequences that decode in one step at most, by turns if there are more; all of them by default. */
  readonly mostDecoding?: number;
  /** Devices that the stages are on, all of which work at the same time if those that decode are divided between them; 1 by default. */
  readonly devices?: number;
}

export class Turns {
  readonly #maxRows: number;
  readonly #mostDecoding: number;
  readonly #devices: number;
  readonly #admitted = new WeakMap<Sequence, number>(); // the step before which it was first
  readonly #taken = new WeakMap<Sequence, number>(); // the last step that it was in
  #prefilled = false; // whether the last turn was a chunk's

  constructor({ maxRows, mostDecoding = Infinity, devices = 1 }: TurnsOptions) {
    this.#maxRows = maxRows;
    this.#mostDecoding = mostDecoding;
    this.#devices = devices;
  }

  /** Whether the last turn was that of sequences that decode. */
  get decodes(): boolean {
    return !this.#prefilled;
  }

  /** A sequence runs from a step on; from which one it did first counts. */
  admit(sequence: Sequence, step: number): void {
    if (!this.#admitted.has(sequence)) this.#admitted.set(sequence, step);
  }

  /** A sequence is in a step. */
  take(sequence: Sequence, step: number): void {
    this.#taken.set(sequence, step);
  }

  /** Something else took the turn of the prompt that would be read next. */
  pass(): void {
    this.#prefilled = true;
  }

  /**
   * A sequence whose next chunk is to be read, or some that decode, by turns where there are both; none where all wait for steps that are
   * under way, so many of which decode.
   */
  next(running: readonly Sequence[], decodes: number): Sequence[] {
    const prefilling = this.#nextToRead(running.filter((sequence) => sequence.reading));
    // Of steps that follow each other through the devices, every other one is then a chunk.
    const groups = prefilling === undefined ? this.#devices : Math.ceil(this.#devices / 2);
    const others = running.filter((sequence) => !sequence.reading);
    const decoding = decodes < groups ? this.#nextToDecode(others, groups, decodes) : [];
    this.#prefilled = prefilling !== undefined && !(this.#prefilled && decoding.length > 0);
    return this.#prefilled ? [prefilling!] : decoding;
  }

  /**
   * Those whose last turn was first: at most a group's part of all, and where several groups may begin at most an equal part of those that
   * are there. So groups come to be of one size, whoever joins or leaves, and nobody belongs to one for longer than a step.
   */
  #nextToDecode(all: readonly Sequence[], groups: number, decodes: number): Sequence[] {
    const decoding = all.filter((sequence) => sequence.decoding);
    const part = Math.min(Math.ceil(all.length / groups), Math.ceil(decoding.length / (groups - decodes)));
    const most = Math.min(this.#mostDecoding, part);
    if (decoding.length <= most) return decoding;
    // Who goes on from a snapshot comes first, before a chain of others could take its place.
    const turn = (sequence: Sequence) => sequence.resume === null ? this.#taken.get(sequence) ?? -1 : -2;
    return decoding.sort((a, b) => turn(a) - turn(b)).slice(0, most);
  }

  /**
   * The one with the least rank: the step at which it was admitted, and a step more for each chunk that it still needs. So a short prompt
   * does not wait for a long one, and a long one only for those that come in its own time.
   */
  #nextToRead(reading: readonly Sequence[]): Sequence | undefined {
    const rank = (sequence: Sequence) => this.#admitted.get(sequence)! + sequence.pending / this.#maxRows;
    return reading.length === 0 ? undefined : reading.reduce((a, b) => rank(b) < rank(a) ? b : a);
  }
}

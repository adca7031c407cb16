/** Decides which sequences have a slot and pages, and what the next step computes: first come, first served. */
import type { Segment } from "../pipeline/steps.ts";
import type { Batch } from "./batch.ts";
import { chunkRows, keptPositions } from "./chunks.ts";
import { loadOf, type Stored } from "./host_tier.ts";
import { Room } from "./room.ts";
import type { Sequence } from "./sequence.ts";
import { Turns, type TurnsOptions } from "./turns.ts";

export interface SchedulerOptions extends TurnsOptions {
  readonly slots: number;
  /** Rows of a chunk while others decode, which wait for it; `maxRows` by default. */
  readonly rowsBeside?: number;
  /** Prompts are cut at multiples of it, so that what is kept of them has the bits of what is computed. */
  readonly alignment?: number;
  /** Any number of pages, and nothing kept, by default. */
  readonly room?: Room;
}

export class Scheduler {
  readonly #maxRows: number;
  readonly #rowsBeside: number;
  readonly #alignment: number;
  readonly #room: Room;
  readonly #turns: Turns;
  readonly #free: number[];
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = []; // by admission
  readonly #tooLong: Sequence[] = [];
  #lackedPages: Sequence | null = null; // the first that waits, since one left
  #steps = 0;
  #preemptions = 0;

  /** @throws RangeError if the slots' decode rows do not fit in one step. */
  constructor(options: SchedulerOptions) {
    const { slots, maxRows, rowsBeside = maxRows, alignment = 1, room = new Room({ slots }) } = options;
    if (slots > maxRows) {
      throw new RangeError(`Cannot decode ${slots} sequences together in steps of ${maxRows} rows: use fewer slots`);
    }
    this.#maxRows = maxRows;
    this.#rowsBeside = Math.min(maxRows, rowsBeside);
    this.#alignment = alignment;
    this.#room = room;
    this.#turns = new Turns(options);
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

  /** Whether one that runs is in the middle of being loaded from the host's memory. */
  get loads(): boolean {
    return this.#running.some(({ loading }) => loading !== null);
  }

  /** Steps that were made. */
  get steps(): number {
    return this.#steps;
  }

  /** How often a sequence had to give its slot and pages to others. */
  get preemptions(): number {
    return this.#preemptions;
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
    if (sequence.slot === null) return;
    this.#lackedPages = null;
    this.#free.push(sequence.slot);
    this.#room.leave(sequence.slot);
    sequence.slot = null;
  }

  /** Some that run go back to the front of the queue, to begin anew when there is room again. */
  preempt(sequences: readonly Sequence[]): void {
    const byAge = this.#running.filter((one) => sequences.includes(one));
    for (const sequence of byAge) {
      this.remove(sequence);
      sequence.restart();
    }
    this.#waiting.unshift(...byAge);
    this.#preemptions += byAge.length;
  }

  /** Those that have one of these slots. */
  inSlots(slots: readonly number[]): Sequence[] {
    return this.#running.filter(({ slot }) => slots.includes(slot!));
  }

  /** Sequences that left since this was asked last, as there are not enough pages even for one of them alone. */
  takeTooLong(): Sequence[] {
    return this.#tooLong.splice(0);
  }

  /**
   * The next step: a chunk of a sequence that has several rows to go, or a row each of those that decode, by turns where there are
   * both. Null if there is nothing to compute, before what is under way has ended: so many steps that decode among others.
   */
  schedule(decodes = 0): Batch | null {
    for (;;) {
      this.#admit();
      const sequences = this.#turns.next(this.#running, decodes);
      if (sequences.length === 0) return null;
      const placed = this.#place(sequences);
      if (placed.size > 0) return this.#batch(placed);
    }
  }

  /** Takes pages for all steps of a chain, if there are any to spare. */
  takeAhead({ segments }: Pick<Batch["step"], "segments">, steps: number): boolean {
    return this.#room.takeAhead(segments.map((segment) => ({ ...segment, rows: steps })));
  }

  /**
   * The step behind a chain in which its sequences go on with the tokens that are drawn last, with pages for `steps` steps. Null if
   * some of them have left, others may come, or there are no pages to spare.
   */
  following({ step, shares }: Batch, steps: number): Batch | null {
    const stay = shares.every(({ sequence, run }) => sequence.slot !== null && sequence.run === run);
    if (!stay || shares.length < this.#running.length) return null;
    if (this.#waiting.length > 0 && this.#free.length > 0) return null;
    const segments = step.segments.map(({ slot, start }) => ({ slot, start: start + step.draws!.length, rows: 1 }));
    if (!this.takeAhead({ segments }, steps)) return null;
    const next = { id: this.#steps++, segments, outputs: step.outputs, follows: true as const };
    const released = this.#room.takeReleased();
    return { step: next, tokens: new Uint32Array(), shares, released, decodes: true, allDecode: true };
  }

  /** Something else took the turn of the prompt that would be read next. */
  pass(): void {
    this.#turns.pass();
  }

  /** In the order of the queue, as long as there are slots and pages; whoever is alone is let in at any rate. */
  #admit(): void {
    while (this.#free.length > 0 && this.#waiting.length > 0) {
      const sequence = this.#waiting[0]!;
      if (sequence.length > this.#room.positions) {
        this.#dismiss(sequence);
        continue;
      }
      if (this.#running.length > 0 && !this.#mayJoin(sequence)) return;
      this.#waiting.shift();
      sequence.slot = this.#free.shift()!;
      this.#running.push(sequence);
      this.#turns.admit(sequence, this.#steps);
    }
  }

  /** Whether there are pages for it beside those that run; not looked at again before one of them has left. */
  #mayJoin(sequence: Sequence): boolean {
    if (sequence !== this.#lackedPages && this.#room.admits(sequence, this.#running)) return true;
    this.#lackedPages = sequence;
    return false;
  }

  /** Takes pages for the next rows of sequences, the oldest first, for which the youngest of all give theirs; what those read that have some. */
  #place(sequences: readonly Sequence[]): ReadonlyMap<Sequence, Segment> {
    const places = new Map<Sequence, Segment>();
    for (const sequence of this.#running.filter((one) => sequences.includes(one))) {
      if (sequence.slot === null) continue; // it gave its own
      if (sequence.computed === 0 && sequence.cutFreely) this.#room.begin(sequence);
      const segment = this.#segment(sequence);
      while (sequence.slot !== null && !this.#room.take(segment)) this.#makeWay(sequence, segment);
      if (sequence.slot !== null) places.set(sequence, segment);
    }
    return places;
  }

  /** Lets the youngest sequence wait again, or this one go if it is longer than all pages. */
  #makeWay(sequence: Sequence, { start, rows }: Segment): void {
    if (start + rows > this.#room.positions) this.#dismiss(sequence);
    else this.preempt([this.#running.at(-1)!]);
  }

  #dismiss(sequence: Sequence): void {
    this.remove(sequence);
    this.#tooLong.push(sequence);
  }

  #segment(sequence: Sequence): Segment {
    const { slot, computed: start, resume } = sequence;
    const rows = sequence.next(this.#mostRows(sequence));
    return { slot: slot!, start, rows, ...(resume !== null && { from: resume }) };
  }

  #batch(places: ReadonlyMap<Sequence, Segment>): Batch {
    for (const [sequence, segment] of places) {
      if (sequence.loading) return this.#load(sequence, segment, sequence.loading); // nobody else is in its step
    }
    const released = this.#room.takeReleased();
    const segments: Segment[] = [];
    const tokens: number[] = [];
    const outputs: number[] = [];
    const shares = Array.from(places, ([sequence, segment]) => {
      this.#turns.take(sequence, this.#steps);
      sequence.resume = null;
      tokens.push(...sequence.take(segment.rows));
      segments.push({ ...segment, ...this.#keep(sequence) });
      const wanted = sequence.outputsFrom(segment.start);
      for (let row = tokens.length - wanted; row < tokens.length; row++) outputs.push(row);
      return { sequence, run: sequence.run, outputs: wanted };
    });
    const step = { id: this.#steps++, segments, outputs: new Uint32Array(outputs) };
    const { decodes } = this.#turns;
    const allDecode = decodes && this.#running.every((sequence) => !sequence.reading);
    return { step, tokens: new Uint32Array(tokens), shares, released, decodes, allDecode };
  }

  /** In place of a chunk of its prompt, what the host's memory has of it. */
  #load(sequence: Sequence, segment: Segment, stored: Stored): Batch {
    const released = this.#room.takeReleased();
    const load = loadOf(stored, segment);
    sequence.resume = null;
    sequence.takeLoaded(segment.rows);
    const keep = load.state === null ? {} : this.#keepHere(sequence);
    const step = { id: this.#steps++, segments: [{ ...segment, ...keep }], outputs: new Uint32Array(), load };
    const shares = [{ sequence, run: sequence.run, outputs: 0 }];
    return { step, tokens: new Uint32Array(), shares, released, decodes: false, allDecode: false };
  }

  #mostRows(sequence: Sequence): number {
    const { computed: start, promptLength: length } = sequence;
    if (!sequence.cutFreely || start >= length) return this.#maxRows;
    const alone = this.#running.every((other) => other === sequence || other.reading);
    const [most, alignment] = [alone ? this.#maxRows : this.#rowsBeside, this.#alignment];
    return chunkRows({ start, length, most, alignment, stops: this.#room.keeps ? this.#stops(sequence) : [] });
  }

  #stops({ promptLength, boundaries }: Sequence): number[] {
    return keptPositions(promptLength, this.#alignment, boundaries);
  }

  /** Where the states behind the chunk that was taken are kept, if they are wanted later. */
  #keep(sequence: Sequence): Pick<Segment, "keep"> {
    const { computed, promptLength } = sequence;
    if (!this.#room.keeps || !sequence.cutFreely || computed > promptLength) return {};
    return this.#stops(sequence).includes(computed) ? this.#keepHere(sequence) : {};
  }

  #keepHere({ computed, tokens, slot }: Sequence): Pick<Segment, "keep"> {
    const snapshot = this.#room.keep(tokens, computed, slot!);
    return snapshot === null ? {} : { keep: snapshot };
  }
}

/** One request's timeline: its tokens, how many of them the stages have taken, and where their state lives. */

import type { Stored } from "./host_tier.ts";

/** How a sequence is fed to the stages. */
export interface Feeding {
  /** Rows of each chunk, used in turn again and again; empty for as many as a step takes. */
  readonly chunks: readonly number[];
  /** Whether logits are wanted of every row, or of the last token's only. */
  readonly everyRow: boolean;
}

export class Sequence {
  /** Null until it is admitted and again once it has left. */
  slot: number | null = null;
  /** Where its state is taken up again, for the next step; null where it is in the slot. */
  resume: number | null = null;
  /** What it takes from the host's memory before anything of it is computed; null if there is nothing, or it has it. */
  loading: Stored | null = null;
  /** Tokens of the prompt that others had computed before. */
  cached = 0;
  /** Another one each time it begins or goes back: what was computed for an earlier one is void. */
  run: object = {};
  /** Positions whose outputs have been taken, where those of every row are wanted. */
  heard = 0;
  readonly #tokens: number[];
  readonly #chunks = new Map<number, number>(); // rows of those behind the prompt that had more than one, by position
  #computed = 0;
  #chunk = 0;
  #again = 0; // tokens that are read once more, up to this position

  /** Tokens that it began with. */
  readonly promptLength: number;

  constructor(
    readonly id: number,
    tokens: Uint32Array,
    readonly feeding: Feeding = { chunks: [], everyRow: false },
    /** Positions of the prompt up to which others may have it too. */
    readonly boundaries: readonly number[] = [],
  ) {
    this.#tokens = Array.from(tokens);
    this.promptLength = tokens.length;
  }

  get tokens(): readonly number[] {
    return this.#tokens;
  }

  /** Its first tokens. */
  get prompt(): readonly number[] {
    return this.#tokens.slice(0, this.promptLength);
  }

  /** Whether its prompt may be cut anywhere. */
  get cutFreely(): boolean {
    return this.feeding.chunks.length === 0 && !this.feeding.everyRow;
  }

  /** Begins behind tokens whose state is kept as `snapshot`. */
  beginAt(position: number, snapshot: number): void {
    this.#computed = position;
    if (this.#again === 0) this.cached = position;
    this.resume = snapshot;
  }

  get length(): number {
    return this.#tokens.length;
  }

  /** Tokens that the stages have taken; the position of the next row. */
  get computed(): number {
    return this.#computed;
  }

  /** Tokens that the stages have not taken yet. */
  get pending(): number {
    return this.#tokens.length - this.#computed;
  }

  /** Whether it takes one row behind its prompt next, as those do that have one token to go. */
  get decoding(): boolean {
    if (this.feeding.everyRow || this.pending === 0) return false;
    return this.pending === 1 || (this.#computed >= this.promptLength && this.#rowsBefore() === 1);
  }

  /** Whether it takes a chunk next. If it does not decode either, its tokens are all with the stages, and the next one is to come. */
  get reading(): boolean {
    return this.pending > 0 && !this.decoding;
  }

  /** Rows that it took from here when it was here before; undefined if it was not. */
  #rowsBefore(): number | undefined {
    return this.#computed < this.#again ? this.#chunks.get(this.#computed) ?? 1 : undefined;
  }

  /** The token at a position; undefined past the last. */
  at(position: number): number | undefined {
    return this.#tokens[position];
  }

  /** Notes that the stages have taken the next token already. */
  took(): void {
    this.#computed++;
  }

  /** Goes back to a position, whose state is kept as `snapshot`; from there to here it goes row by row once more, for the same bits. What is under way for it is void. */
  rewind(position: number, snapshot: number): void {
    this.#computed = position;
    this.#again = this.length;
    this.resume = snapshot;
    this.leaveUnderWay();
  }

  /** Makes void what is under way for it. */
  leaveUnderWay(): void {
    this.run = {};
  }

  /** Goes back to the beginning; what it has read by now it will read in the same way, for the same bits. */
  restart(): void {
    this.#again = Math.max(this.#again, this.#computed);
    this.#computed = 0;
    this.#chunk = 0;
    this.resume = null;
    this.loading = null;
    this.run = {};
  }

  append(token: number): void {
    this.#tokens.push(token);
  }

  endsWith(tokens: Uint32Array): boolean {
    const start = this.#tokens.length - tokens.length;
    return tokens.every((token, i) => this.#tokens[start + i] === token);
  }

  /** Rows of its next chunk, at most `maxRows`. */
  next(maxRows: number): number {
    const { chunks } = this.feeding;
    if (this.loading) return Math.min(this.loading.most, this.loading.position - this.#computed);
    const before = this.#computed < this.promptLength ? undefined : this.#rowsBefore();
    return Math.min(this.pending, before ?? Math.min(maxRows, chunks[this.#chunk % chunks.length] ?? maxRows));
  }

  /** Takes the next rows, all of a chunk. */
  take(rows: number): number[] {
    const start = this.#computed;
    this.#computed += rows;
    this.#chunk++;
    if (start >= this.promptLength && rows > 1) this.#chunks.set(start, rows);
    return this.#tokens.slice(start, this.#computed);
  }

  /** Takes the next rows from the host's memory, all that may be loaded at once. */
  takeLoaded(rows: number): void {
    this.#computed += rows;
    if (this.#computed < this.loading!.position) return;
    if (this.#again === 0) this.cached = this.#computed;
    this.loading = null;
  }

  /** How many outputs are wanted of the rows that were taken last, from `start` on. */
  outputsFrom(start: number): number {
    if (this.feeding.everyRow) return Math.max(0, this.#computed - Math.max(start, this.heard));
    return this.pending === 0 ? 1 : 0;
  }
}

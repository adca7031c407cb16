/** One request's timeline: its tokens, how many of them the stages have taken, and where their state lives. */

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
  /** Tokens of the prompt that others had computed before. */
  cached = 0;
  readonly #tokens: number[];
  #computed = 0;
  #chunk = 0;
  #rowByRow = 0; // up to this position

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

  /** Whether its prompt may be cut anywhere. */
  get cutFreely(): boolean {
    return this.feeding.chunks.length === 0 && !this.feeding.everyRow;
  }

  /** Begins behind tokens whose state is kept as `snapshot`. */
  beginAt(position: number, snapshot: number): void {
    this.#computed = position;
    this.cached = position;
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

  /** Whether one row is all it needs for its next token. */
  get decoding(): boolean {
    return this.pending === 1 && !this.feeding.everyRow;
  }

  /** The token at a position; undefined past the last. */
  at(position: number): number | undefined {
    return this.#tokens[position];
  }

  /** Notes that the stages have taken the next token already. */
  took(): void {
    this.#computed++;
  }

  /** Goes back to a position, whose state is kept as `snapshot`; from there to here it goes row by row once more, for the same bits. */
  rewind(position: number, snapshot: number): void {
    this.#computed = position;
    this.#rowByRow = this.length;
    this.resume = snapshot;
  }

  append(token: number): void {
    this.#tokens.push(token);
  }

  endsWith(tokens: Uint32Array): boolean {
    const start = this.#tokens.length - tokens.length;
    return tokens.every((token, i) => this.#tokens[start + i] === token);
  }

  /** Takes the next chunk of pending tokens, at most `maxRows`. */
  take(maxRows: number): number[] {
    const { chunks } = this.feeding;
    const most = this.#computed < this.#rowByRow ? 1 : maxRows;
    const rows = Math.min(most, chunks[this.#chunk++ % chunks.length] ?? most);
    const tokens = this.#tokens.slice(this.#computed, this.#computed + rows);
    this.#computed += tokens.length;
    return tokens;
  }
}

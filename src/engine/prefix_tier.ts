/** What one memory keeps of the prefix tree: states behind some pieces, and the pages of these and of all pieces before them. */
import { backFrom, type Piece } from "./prefix_tree.ts";

/** How much a memory may keep. */
export interface TierRoom {
  readonly states: number;
  /** Those that several states have are counted once. */
  readonly pages: number;
}

/** Numbers from `next` on, those first that were given back. */
class Numbers {
  readonly #back: number[] = [];
  #next: number;

  constructor(first: number) {
    this.#next = first;
  }

  take(): number {
    return this.#back.shift() ?? this.#next++;
  }

  give(number: number): void {
    this.#back.push(number);
  }
}

export class Tier {
  readonly #states = new Map<Piece, number>();
  readonly #pages = new Map<Piece, { readonly number: number; uses: number }>();
  readonly #stateNumbers: Numbers;
  readonly #pageNumbers = new Numbers(0);
  #room: TierRoom;

  /** States are numbered from `first` on, pages from 0. */
  constructor(room: TierRoom, first = 0) {
    this.#room = room;
    this.#stateNumbers = new Numbers(first);
  }

  get room(): TierRoom {
    return this.#room;
  }

  /** What it keeps by now. */
  get used(): TierRoom {
    return { states: this.#states.size, pages: this.#pages.size };
  }

  /** The number of the states behind a piece; null if they are not kept. */
  state(piece: Piece): number | null {
    return this.#states.get(piece) ?? null;
  }

  /** The number of a piece's page; null if it is not kept. */
  page(piece: Piece): number | null {
    return this.#pages.get(piece)?.number ?? null;
  }

  /** The piece whose states have this number. */
  pieceOf(state: number): Piece | null {
    for (const [piece, number] of this.#states) if (number === state) return piece;
    return null;
  }

  /** Whether there is room for one more state and so many pages more. */
  fits(pages: number): boolean {
    return this.#states.size < this.#room.states && this.#pages.size + pages <= this.#room.pages;
  }

  /** Keeps the states behind a piece; returns their number. There must be room. */
  add(piece: Piece): number {
    const number = this.#stateNumbers.take();
    this.#states.set(piece, number);
    for (const one of backFrom(piece)) {
      const page = this.#pages.get(one);
      if (page) page.uses++;
      else this.#pages.set(one, { number: this.#pageNumbers.take(), uses: 1 });
    }
    return number;
  }

  /** Keeps the states behind a piece no more, nor pages that no other has; returns their number. */
  give(piece: Piece): number {
    const number = this.#states.get(piece)!;
    this.#states.delete(piece);
    this.#stateNumbers.give(number);
    for (const one of backFrom(piece)) {
      const page = this.#pages.get(one)!;
      if (--page.uses > 0) continue;
      this.#pages.delete(one);
      this.#pageNumbers.give(page.number);
    }
    return number;
  }

  /** Of the pieces whose states are kept and that `counts` lets count, the one that was used longest ago. */
  oldest(counts: (piece: Piece, state: number) => boolean): Piece | null {
    let oldest: Piece | null = null;
    for (const [piece, state] of this.#states) {
      if ((oldest === null || piece.used < oldest.used) && counts(piece, state)) oldest = piece;
    }
    return oldest;
  }

  /** Of what it keeps, what another tier does not. */
  lackedBy(other: Tier): TierRoom {
    const states = [...this.#states.keys()].filter((piece) => other.state(piece) === null).length;
    const pages = [...this.#pages.keys()].filter((piece) => other.page(piece) === null).length;
    return { states, pages };
  }

  /** There is no more room than what it has. */
  close(): void {
    this.#room = this.used;
  }
}

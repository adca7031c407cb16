/** Which beginnings of texts the stages have kept, token by token: states and pages that later sequences go on from. */

/** What the stages keep besides what sequences in flight have. */
export interface CacheRoom {
  /** States are kept at multiples of so many positions, the positions of a page. */
  readonly alignment: number;
  /** The snapshots to keep them in, `count` from `first` on. */
  readonly first: number;
  readonly count: number;
  /** Pages that they may keep together; those that several have are counted once. */
  readonly pages: number;
}

/** One aligned piece of a text behind those before it, whose keys and values are a page. */
class Piece {
  readonly next = new Map<string, Piece>();
  /** Where the states behind it are kept. */
  snapshot: number | null = null;
  used = 0;

  constructor(readonly parent: Piece | null, readonly key: string, readonly depth: number) {}
}

/** What a text begins with that is kept. */
export interface Hit {
  readonly position: number;
  readonly snapshot: number;
}

/**
 * A tree of aligned pieces, so that a hit is exact to the token. A piece whose states are kept is one that a sequence may go on from; the
 * least recently used are given up where room is wanted.
 */
export class PrefixCache {
  readonly #room: CacheRoom;
  readonly #root = new Piece(null, "", 0);
  readonly #kept = new Set<Piece>();
  readonly #free: number[];
  #dropped: number[] = [];
  #pieces = 0;
  #clock = 0;

  constructor(room: CacheRoom) {
    this.#room = room;
    this.#free = Array.from({ length: room.count }, (_, i) => room.first + i);
  }

  get alignment(): number {
    return this.#room.alignment;
  }

  /** Snapshots in use. */
  get size(): number {
    return this.#kept.size;
  }

  /** The longest kept beginning of a text that leaves it a token to compute; null if there is none. */
  find(tokens: readonly number[]): Hit | null {
    const most = Math.floor((tokens.length - 1) / this.alignment);
    let best: Piece | null = null;
    let piece: Piece | undefined = this.#root;
    for (let n = 0; n < most && piece; n++) {
      piece = piece.next.get(this.#key(tokens, n));
      if (piece && piece.snapshot !== null) best = piece;
    }
    if (best === null) return null;
    best.used = ++this.#clock;
    return { position: best.depth * this.alignment, snapshot: best.snapshot! };
  }

  /**
   * Where the states behind the first `position` tokens, a multiple of the alignment, are to be kept; null if they are already, or
   * would not fit by themselves, for which nothing is given up. What was there is gone.
   */
  keep(tokens: readonly number[], position: number): number | null {
    const { count, pages } = this.#room;
    const depth = position / this.alignment;
    if (count === 0 || depth > pages) return null;
    const known = this.#use(tokens, depth);
    if (known.depth === depth && known.snapshot !== null) return null;
    while (this.#free.length === 0 || this.#pieces + depth - this.#use(tokens, depth).depth > pages) this.evict();
    const piece = this.#pieceAt(tokens, depth);
    const snapshot = this.#free.shift()!;
    piece.snapshot = snapshot;
    piece.used = ++this.#clock;
    this.#dropped = this.#dropped.filter((dropped) => dropped !== snapshot); // keeping it anew gives up what it had
    this.#kept.add(piece);
    return snapshot;
  }

  /** Gives up what was used longest ago, but none of some snapshots; false if there is nothing else. */
  evict(but: ReadonlySet<number> = new Set()): boolean {
    let oldest: Piece | null = null;
    for (const piece of this.#kept) {
      if (but.has(piece.snapshot!)) continue;
      if (oldest === null || piece.used < oldest.used) oldest = piece;
    }
    if (oldest !== null) this.#give(oldest);
    return oldest !== null;
  }

  /** A snapshot that was to be kept is not, as its step failed. */
  forget(snapshot: number): void {
    for (const piece of this.#kept) if (piece.snapshot === snapshot) this.#give(piece);
  }

  /** Snapshots that were given up since this was asked last. */
  takeDropped(): readonly number[] {
    return this.#dropped.splice(0);
  }

  /** The last piece of a text that is there, at most at this depth; all before it are in use as well. */
  #use(tokens: readonly number[], depth: number): Piece {
    let piece = this.#root;
    while (piece.depth < depth) {
      const next = piece.next.get(this.#key(tokens, piece.depth));
      if (next === undefined) break;
      next.used = ++this.#clock;
      piece = next;
    }
    return piece;
  }

  /** The piece at a depth, made with those before it where they are wanting. */
  #pieceAt(tokens: readonly number[], depth: number): Piece {
    let piece = this.#use(tokens, depth);
    while (piece.depth < depth) {
      const key = this.#key(tokens, piece.depth);
      const next = new Piece(piece, key, piece.depth + 1);
      piece.next.set(key, next);
      this.#pieces++;
      piece = next;
    }
    return piece;
  }

  #key(tokens: readonly number[], n: number): string {
    return tokens.slice(n * this.alignment, (n + 1) * this.alignment).join();
  }

  #give(piece: Piece): void {
    this.#dropped.push(piece.snapshot!);
    this.#free.push(piece.snapshot!);
    piece.snapshot = null;
    this.#kept.delete(piece);
    this.#prune(piece);
  }

  /** Forgets pieces that lead to nothing kept. */
  #prune(piece: Piece): void {
    let leaf: Piece | null = piece;
    while (leaf?.parent && leaf.snapshot === null && leaf.next.size === 0) {
      leaf.parent.next.delete(leaf.key);
      this.#pieces--;
      leaf = leaf.parent;
    }
  }
}

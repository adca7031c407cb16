/** Beginnings of texts as a tree of aligned pieces, so that what is found is exact to the token. */
import type { Tier } from "./prefix_tier.ts";

/** One aligned piece of a text behind those before it, whose keys and values are a page. */
export class Piece {
  readonly next = new Map<string, Piece>();
  /** When it was used last. */
  used = 0;

  constructor(readonly parent: Piece | null, readonly key: string, readonly depth: number) {}
}

/** A piece and those before it, the last first. */
export function* backFrom(piece: Piece): Generator<Piece> {
  for (let at = piece; at.parent; at = at.parent) yield at;
}

/** The pieces of which some tier has something. */
export class PrefixTree {
  readonly #root = new Piece(null, "", 0);
  readonly #tiers: readonly Tier[];
  #clock = 0;

  constructor(readonly alignment: number, tiers: readonly Tier[]) {
    this.#tiers = tiers;
  }

  /** The first pieces of a text that are there, `most` at most. */
  *along(tokens: readonly number[], most: number): Generator<Piece> {
    for (let piece: Piece | undefined = this.#root; piece.depth < most;) {
      piece = piece.next.get(this.#key(tokens, piece.depth));
      if (piece === undefined) return;
      yield piece;
    }
  }

  /** The piece at a depth, made with those before it where they are wanting. */
  reach(tokens: readonly number[], depth: number): Piece {
    let piece = this.#root;
    while (piece.depth < depth) {
      const key = this.#key(tokens, piece.depth);
      const next = piece.next.get(key) ?? new Piece(piece, key, piece.depth + 1);
      piece.next.set(key, next);
      piece = next;
    }
    return piece;
  }

  /** Notes that a piece is used now. */
  touch(piece: Piece): void {
    piece.used = ++this.#clock;
  }

  /** Forgets a piece, and those before it, as far as no tier has anything of them. */
  prune(piece: Piece): void {
    for (const leaf of backFrom(piece)) {
      if (leaf.next.size > 0 || this.#tiers.some((tier) => tier.page(leaf) !== null)) return;
      leaf.parent!.next.delete(leaf.key);
    }
  }

  #key(tokens: readonly number[], n: number): string {
    return tokens.slice(n * this.alignment, (n + 1) * this.alignment).join();
  }
}

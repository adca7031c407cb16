/** Which beginnings of texts the stages have kept, token by token: states and pages that later sequences go on from. */
import type { PrefixCacheStatus } from "../pipeline/messages.ts";
import { HostTier, type Stored } from "./host_tier.ts";
import { Tier, type TierRoom } from "./prefix_tier.ts";
import { type Piece, PrefixTree } from "./prefix_tree.ts";

/** What the stages keep besides what sequences in flight have. */
export interface CacheRoom {
  /** States are kept at multiples of so many positions, the positions of a page. */
  readonly alignment: number;
  /** The snapshots to keep them in, `count` from `first` on. */
  readonly first: number;
  readonly count: number;
  /** Pages that they may keep together; those that several have are counted once. */
  readonly pages: number;
  /** What the host's memory may hold of them besides; nothing if left out. */
  readonly host?: TierRoom;
  /** Bytes of one state and of one page, on all stages together; 0 if left out. */
  readonly stateBytes?: number;
  readonly pageBytes?: number;
  /** Whether sequences had better begin from a snapshot than anew; always if left out. */
  readonly suits?: (snapshot: number) => boolean;
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
  readonly #device: Tier;
  readonly #tree: PrefixTree;
  /** The second tier, where there is one. */
  readonly host: HostTier | null;
  readonly #hits = { device: 0, host: 0 };
  #dropped: number[] = [];

  constructor(room: CacheRoom) {
    const { alignment, count, pages, first, host = { states: 0, pages: 0 }, pageBytes = 0 } = room;
    this.#room = room;
    this.#device = new Tier({ states: count, pages }, first);
    const tier = new Tier(host);
    this.#tree = new PrefixTree(alignment, [this.#device, tier]);
    this.host = host.states > 0 ? new HostTier(this.#tree, this.#device, tier, pageBytes) : null;
  }

  get alignment(): number {
    return this.#room.alignment;
  }

  /** What the device keeps by now. */
  get used(): TierRoom {
    return this.#device.used;
  }

  get status(): PrefixCacheStatus {
    const { stateBytes = 0, pageBytes = 0 } = this.#room;
    const bytes = ({ states, pages }: TierRoom) => states * stateBytes + pages * pageBytes;
    return {
      device: { bytes: bytes(this.used), hits: this.#hits.device },
      host: { bytes: this.host ? bytes(this.host.used) : 0, hits: this.#hits.host },
    };
  }

  /** What a sequence begins from: what the device keeps of its prompt, and what the host's memory has beyond that. */
  begin(prompt: readonly number[]): { readonly hit: Hit | null; readonly stored: Stored | null } {
    const hit = this.find(prompt);
    const stored = this.host?.find(prompt, hit?.position ?? 0) ?? null;
    if (stored) this.#hits.host++;
    else if (hit) this.#hits.device++;
    return { hit, stored };
  }

  /** The longest beginning of a text kept on the device that leaves it a token to compute, and suits; null if there is none. */
  find(tokens: readonly number[]): Hit | null {
    let best: Piece | null = null;
    for (const piece of this.#tree.along(tokens, Math.floor((tokens.length - 1) / this.alignment))) {
      if (this.#suits(piece)) best = piece;
    }
    if (best === null) return null;
    this.#tree.touch(best);
    return { position: best.depth * this.alignment, snapshot: this.#device.state(best)! };
  }

  /**
   * Where the states behind the first `position` tokens, a multiple of the alignment, are to be kept; null if they are already, and suit, or
   * would not fit by themselves, for which nothing is given up. What was there is gone.
   */
  keep(tokens: readonly number[], position: number): number | null {
    const { count, pages } = this.#room;
    const depth = position / this.alignment;
    if (count === 0 || depth > pages) return null;
    const known = this.#use(tokens, depth);
    if (known?.depth === depth && this.#device.state(known) !== null) {
      if (this.#suits(known)) return null;
      this.#give(known);
    }
    while (!this.#device.fits(depth - (this.#use(tokens, depth)?.depth ?? 0))) this.evict();
    const piece = this.#tree.reach(tokens, depth);
    this.#use(tokens, depth);
    const snapshot = this.#device.add(piece);
    this.#dropped = this.#dropped.filter((dropped) => dropped !== snapshot); // keeping it anew gives up what it had
    this.host?.look();
    return snapshot;
  }

  /** Gives up what was used longest ago, but none of some snapshots; false if there is nothing else. */
  evict(but: ReadonlySet<number> = new Set()): boolean {
    const oldest = this.#device.oldest((_, snapshot) => !but.has(snapshot));
    if (oldest !== null) this.#give(oldest);
    return oldest !== null;
  }

  /** A snapshot that was to be kept is not, as its step failed. */
  forget(snapshot: number): void {
    const piece = this.#device.pieceOf(snapshot);
    if (piece !== null) this.#give(piece);
  }

  /** Snapshots that were given up since this was asked last. */
  takeDropped(): readonly number[] {
    return this.#dropped.splice(0);
  }

  /** The last piece of a text whose page the device has, at most at this depth; all pieces before it are in use as well. */
  #use(tokens: readonly number[], depth: number): Piece | null {
    let last: Piece | null = null;
    for (const piece of this.#tree.along(tokens, depth)) {
      this.#tree.touch(piece);
      if (this.#device.page(piece) !== null) last = piece;
    }
    return last;
  }

  #suits(piece: Piece): boolean {
    const state = this.#device.state(piece);
    return state !== null && (this.#room.suits?.(state) ?? true);
  }

  #give(piece: Piece): void {
    this.#dropped.push(this.#device.give(piece));
    this.#tree.prune(piece);
  }
}

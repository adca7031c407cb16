/** The prefix cache's second tier, behind a device's memory the computer's own: what is copied there, and when, and what comes back. */
import type { Load, Store } from "../pipeline/copies.ts";
import type { Segment } from "../pipeline/steps.ts";
import type { Tier, TierRoom } from "./prefix_tier.ts";
import { backFrom, type Piece, type PrefixTree } from "./prefix_tree.ts";

/** Bytes of pages that are copied at once, in either direction: whoever decodes meanwhile waits for them. */
const COPY_BYTES = 2 ** 24;

/** The beginning of a text as the host's memory has it. */
export interface Stored {
  readonly position: number;
  /** The number of the copy of the states behind it. */
  readonly state: number;
  /** Those of its pages, from the first on. */
  readonly pages: readonly number[];
  /** Positions of a page. */
  readonly size: number;
  /** Positions that may be loaded at once. */
  readonly most: number;
}

/** What a segment takes of it. */
export function loadOf({ position, state, pages, size }: Stored, { start, rows }: Segment): Load {
  const end = start + rows;
  return { pages: pages.slice(start / size, end / size), state: end === position ? state : null };
}

/** What is being copied: the states behind a piece, at last, after the pages that were not there yet. */
interface Going {
  readonly piece: Piece;
  readonly snapshot: number;
  readonly state: number;
  readonly pages: (readonly [index: number, copy: number])[];
}

/**
 * What the device keeps is copied in good time, what was used longest ago first, so that giving it up takes no time and loses nothing: all
 * of it while there is nothing else to do, between steps only what is more than half. What is kept in both is never given up here.
 */
export class HostTier {
  readonly #tree: PrefixTree;
  readonly #device: Tier;
  readonly #host: Tier;
  readonly #pagesAtOnce: number;
  #going: Going | null = null;
  #lacks = false; // whether something may not be there yet
  #crowded = false; // whether that may be more than half of what the device has room for

  constructor(tree: PrefixTree, device: Tier, host: Tier, pageBytes: number) {
    this.#tree = tree;
    this.#device = device;
    this.#host = host;
    this.#pagesAtOnce = Math.max(1, Math.floor(COPY_BYTES / pageBytes));
  }

  /** What it keeps by now. */
  get used(): TierRoom {
    return this.#host.used;
  }

  /** Whether there may be something to copy. */
  hasWork(idle: boolean): boolean {
    return idle ? this.#lacks : this.#crowded;
  }

  /** The device keeps something more. */
  look(): void {
    this.#lacks = this.#crowded = true;
  }

  /** The longest kept beginning of a text that leaves it a token to compute, if it is longer than `position`. */
  find(tokens: readonly number[], position: number): Stored | null {
    const { alignment: size } = this.#tree;
    let best: Piece | null = null;
    for (const piece of this.#tree.along(tokens, Math.floor((tokens.length - 1) / size))) {
      if (this.#host.state(piece) !== null && piece !== this.#going?.piece) best = piece;
    }
    if (best === null || best.depth * size <= position) return null;
    this.#tree.touch(best);
    const pages = [...backFrom(best)].map((piece) => this.#host.page(piece)!).reverse();
    const state = this.#host.state(best)!;
    return { position: best.depth * size, state, pages, size, most: this.#pagesAtOnce * size };
  }

  /**
   * Copies what comes next, if there is something; whether it did. Only while no step is under way, so that all that is kept is there, and
   * no sequence is in the middle of being loaded, whose copies might be replaced.
   */
  async storeNext(stages: { store(store: Store): Promise<void> }, idle: boolean): Promise<boolean> {
    const store = this.#next(idle);
    if (store === null) return false;
    try {
      await stages.store(store);
      this.#stored(store);
      return true;
    } catch {
      this.#giveUp();
      this.#host.close(); // there is no memory for more than what is there
      return false;
    }
  }

  #next(idle: boolean): Store | null {
    if (this.#going && this.#device.state(this.#going.piece) !== this.#going.snapshot) this.#giveUp();
    this.#going ??= this.#begin(idle);
    if (this.#going === null) return null;
    const { snapshot, pages, state } = this.#going;
    if (pages.length === 0) return { snapshot, pages, state };
    return { snapshot, pages: pages.slice(0, this.#pagesAtOnce), state: null };
  }

  #stored({ pages, state }: Store): void {
    this.#going!.pages.splice(0, pages.length);
    if (state !== null) this.#going = null;
  }

  /** Chooses what to copy, and gives up for it what was used longest ago. */
  #begin(idle: boolean): Going | null {
    const { states, pages } = this.#device.lackedBy(this.#host);
    const { room } = this.#device;
    this.#crowded = states > room.states / 2 || pages > room.pages / 2;
    if (!idle && !this.#crowded) return null;
    const piece = this.#device.oldest((piece) => this.#host.state(piece) === null);
    if (piece === null || !this.#makeRoom(piece)) {
      this.#lacks = this.#crowded = false;
      return null;
    }
    const lacking = this.#lacking(piece);
    const state = this.#host.add(piece);
    const pairs = lacking.map((one) => [one.depth - 1, this.#host.page(one)!] as const);
    return { piece, snapshot: this.#device.state(piece)!, state, pages: pairs };
  }

  #makeRoom(piece: Piece): boolean {
    if (piece.depth > this.#host.room.pages) return false;
    while (!this.#host.fits(this.#lacking(piece).length)) {
      const oldest = this.#host.oldest((other) => this.#device.state(other) === null);
      if (oldest === null) return false;
      this.#give(oldest);
    }
    return true;
  }

  /** Of a piece and those before it, first to last, whose pages are not there yet. */
  #lacking(piece: Piece): Piece[] {
    return [...backFrom(piece)].filter((one) => this.#host.page(one) === null).reverse();
  }

  #giveUp(): void {
    if (this.#going) this.#give(this.#going.piece);
    this.#going = null;
  }

  #give(piece: Piece): void {
    this.#host.give(piece);
    this.#tree.prune(piece);
  }
}

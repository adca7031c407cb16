/** How much room there is for keys and values, and who has it: in pages, counted exactly as the stages have them. */
import type { PrefixCacheStatus } from "../pipeline/messages.ts";
import type { Released, Segment } from "../pipeline/steps.ts";
import { Pages } from "../pipeline/pages.ts";
import type { EngineLimits } from "./limits.ts";
import type { HostTier } from "./host_tier.ts";
import { type Hit, PrefixCache } from "./prefix_cache.ts";
import type { Sequence } from "./sequence.ts";

export interface RoomOptions {
  readonly slots: number;
  /** Positions of a page; 1 by default. */
  readonly size?: number;
  /** Pages that there may be, as far as is known before one is wanting; any number by default. */
  readonly pages?: number;
  /** Positions that a sequence may have; any number by default. */
  readonly context?: number;
  readonly cache?: PrefixCache | null;
}

export class Room {
  readonly #pages: Pages;
  readonly #cache: PrefixCache | null;
  readonly #begunFrom = new Set<number>(); // snapshots, in the step that is being made
  readonly #mostOfOne: number;
  #most: number;
  #released: { slots: number[]; snapshots: number[] } = { slots: [], snapshots: [] };

  constructor({ slots, size = 1, pages = Infinity, context = Infinity, cache = null }: RoomOptions) {
    this.#pages = new Pages(slots, size);
    this.#cache = cache;
    this.#mostOfOne = Math.ceil(context / size);
    this.#most = pages;
  }

  /** That of an engine, of whose snapshots the last ones are for what prompts begin with, as far as one suits. */
  static of(
    { slots, context, pages, snapshots = 0, prefixCache }: EngineLimits,
    suits: (snapshot: number) => boolean = () => true,
  ): Room {
    const { alignment = 1, snapshots: count = 0, pages: kept = 0, ...more } = prefixCache ?? {};
    const room = { ...more, alignment, first: snapshots - count, count, pages: kept, suits };
    const cache = count > 0 ? new PrefixCache(room) : null;
    return new Room({ slots, context, size: alignment, cache, ...(pages !== undefined && { pages }) });
  }

  /** Whether what prompts begin with is kept. */
  get keeps(): boolean {
    return this.#cache !== null;
  }

  /** What is kept, and how often it was of use. */
  get kept(): PrefixCacheStatus {
    return this.#cache?.status ?? { device: { bytes: 0, hits: 0 }, host: { bytes: 0, hits: 0 } };
  }

  /** Where it is copied to before it is given up; null if there is no such place. */
  get host(): HostTier | null {
    return this.#cache?.host ?? null;
  }

  /** Positions that one sequence can have if no other has any. */
  get positions(): number {
    return this.#most * this.#pages.size;
  }

  /** Notes that a stage has only so many pages; false if it was known that there are no more. */
  lower(pages: number): boolean {
    const lower = pages < this.#most;
    if (lower) this.#most = pages;
    return lower;
  }

  /** The longest kept beginning of a prompt. */
  find(prompt: readonly number[]): Hit | null {
    return this.#cache?.find(prompt) ?? null;
  }

  /** Lets a sequence begin behind what is kept of its prompt; where the host's memory has more of it, behind that, once it is loaded. */
  begin(sequence: Sequence): void {
    const { hit = null, stored = null } = this.#cache?.begin(sequence.prompt) ?? {};
    if (hit) sequence.beginAt(hit.position, hit.snapshot);
    sequence.loading = stored;
  }

  /**
   * Whether a sequence can begin and go on for a page beside others, to whom the pages of their tokens are promised as well. What is
   * kept for later gives way.
   */
  admits(sequence: Sequence, others: readonly Sequence[]): boolean {
    const shared = this.#pages.sharedWithSlots(this.find(sequence.prompt)?.snapshot ?? null);
    const promised = others.map((other) => Math.max(0, this.#target(other) - this.#pages.held(other.slot!)));
    const wanted = this.#target(sequence) - shared + promised.reduce((sum, pages) => sum + pages, 0);
    return this.#pages.heldBySlots + wanted <= this.#most;
  }

  /** Pages of a sequence's tokens and one more, if it may have one more. */
  #target({ length }: Sequence): number {
    return Math.min(Math.ceil(length / this.#pages.size) + 1, this.#mostOfOne);
  }

  /** Takes the pages of a sequence's next rows, for which what was used longest ago is given up; false if that does not suffice. */
  take(segment: Segment): boolean {
    if (segment.from !== undefined) this.#begunFrom.add(segment.from);
    this.#pages.begin([segment]);
    while (this.#lacks([segment])) if (!this.#evict()) return false;
    this.#assign([segment]);
    return true;
  }

  /** The same for rows that need not come now: nothing is given up for them. */
  takeAhead(segments: readonly Segment[]): boolean {
    if (this.#lacks(segments)) return false;
    this.#assign(segments);
    return true;
  }

  /** The stage had no pages for those further rows, which it alone could know. */
  giveBackAhead(segments: readonly Segment[]): void {
    this.#pages.cut(segments);
  }

  /** A sequence leaves its slot. */
  leave(slot: number): void {
    this.#pages.release({ slots: [slot], snapshots: [] });
    this.#released.slots.push(slot);
  }

  /** Keeps what a slot holds of a text's first tokens; null if it is kept already, or has no room. */
  keep(tokens: readonly number[], position: number, slot: number): number | null {
    const snapshot = this.#cache?.keep(tokens, position) ?? null;
    this.#releaseDropped();
    if (snapshot !== null) this.#pages.keep(snapshot, slot, position / this.#pages.size);
    return snapshot;
  }

  /** A snapshot that was to be kept is not, as its step failed. */
  forget(snapshot: number): void {
    this.#cache?.forget(snapshot);
    this.#releaseDropped();
  }

  /** What the stages are to take back before the next step; null if it is nothing. To be asked when the step has its pages, before it keeps anything. */
  takeReleased(): Released | null {
    const released = this.#released;
    this.#begunFrom.clear();
    if (released.slots.length + released.snapshots.length === 0) return null;
    this.#released = { slots: [], snapshots: [] };
    return released;
  }

  #lacks(segments: readonly Segment[]): boolean {
    const wanted = this.#pages.wanted(segments);
    return wanted > 0 && this.#pages.used + wanted > this.#most;
  }

  #assign(segments: readonly Segment[]): void {
    if (this.#pages.wanted(segments) === 0) return; // as in nearly all steps that decode
    const missing = this.#pages.missing(segments);
    if (missing > 0) this.#pages.addBlock(Math.max(missing, this.#pages.count)); // a number of them is no memory
    this.#pages.assign(segments);
  }

  /** Not what a sequence of this step begins from: the stages would take it back before. */
  #evict(): boolean {
    const evicted = this.#cache?.evict(this.#begunFrom) ?? false;
    this.#releaseDropped();
    return evicted;
  }

  #releaseDropped(): void {
    const snapshots = this.#cache?.takeDropped() ?? [];
    this.#pages.release({ slots: [], snapshots });
    this.#released.snapshots.push(...snapshots);
  }
}

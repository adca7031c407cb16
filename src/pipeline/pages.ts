/** Which pages of a cache hold the positions of which slot, and which are kept for later: as stages have them, and the engine counts them. */
import type { Released, Segment } from "./steps.ts";

/** Pages by number, each free or in use: by slots, by what is kept, or by several of them that have the same beginning. */
export class Pages {
  /** Positions of a page. */
  readonly size: number;
  readonly #tables: number[][];
  readonly #kept = new Map<number, readonly number[]>(); // by snapshot
  readonly #uses: number[] = []; // tables and snapshots that name a page
  readonly #bounds = [0]; // first page of each block, and the end
  #free: number[] = []; // rising

  constructor(slots: number, size: number) {
    this.size = size;
    this.#tables = Array.from({ length: slots }, () => []);
  }

  /** Pages that are there. */
  get count(): number {
    return this.#bounds.at(-1)!;
  }

  /** Of them, those in use. */
  get used(): number {
    return this.count - this.#free.length;
  }

  /** Of these, those that slots hold. */
  get heldBySlots(): number {
    return new Set(this.#tables.flat()).size;
  }

  /** Pages that a slot holds. */
  held(slot: number): number {
    return this.#tables[slot]!.length;
  }

  /** Pages that a snapshot keeps and slots hold as well. */
  sharedWithSlots(snapshot: number | null): number {
    const kept = snapshot === null ? undefined : this.#kept.get(snapshot);
    if (kept === undefined) return 0;
    const held = new Set(this.#tables.flat());
    return kept.filter((page) => held.has(page)).length;
  }

  /** The pages that a snapshot keeps. */
  kept(snapshot: number): readonly number[] {
    return this.#kept.get(snapshot) ?? [];
  }

  /** The block that a page lies in, and which one of this it is. */
  locate(page: number): { readonly block: number; readonly index: number } {
    const block = this.#block(page);
    return { block, index: page - this.#bounds[block]! };
  }

  /** Blocks that they lie in. */
  get blocks(): number {
    return this.#bounds.length - 1;
  }

  /** Adds a block of free pages. */
  addBlock(pages: number): void {
    for (let page = this.count; page < this.count + pages; page++) this.#free.push(page);
    this.#bounds.push(this.count + pages);
  }

  /** Begins segments: where a sequence starts its slot has no pages, where it goes on from a snapshot that keeps pages it has these. */
  begin(segments: readonly Segment[]): void {
    for (const { slot, start, from } of segments) {
      const kept = from === undefined ? undefined : this.#kept.get(from);
      if (start > 0 && kept === undefined) continue;
      const table = start === 0 ? [] : [...kept!];
      this.#use(table);
      this.#takeBack(this.#tables[slot]!);
      this.#tables[slot] = table;
    }
  }

  /** Keeps a slot's first pages as a snapshot's, in place of what that kept. */
  keep(snapshot: number, slot: number, count: number): void {
    const pages = this.#tables[slot]!.slice(0, count);
    this.#use(pages);
    this.drop(snapshot);
    this.#kept.set(snapshot, pages);
  }

  /** Takes back what slots hold and snapshots keep. */
  release({ slots, snapshots }: Released): void {
    for (const slot of slots) this.#takeBack(this.#tables[slot]!.splice(0));
    for (const snapshot of snapshots) this.drop(snapshot);
  }

  /** Takes back the pages of slots behind their segments. */
  cut(segments: readonly Segment[]): void {
    for (const segment of segments) this.#takeBack(this.#tables[segment.slot]!.splice(this.#reach(segment)));
  }

  /** A snapshot keeps no pages any more. */
  drop(snapshot: number): void {
    this.#takeBack(this.#kept.get(snapshot) ?? []);
    this.#kept.delete(snapshot);
  }

  /** How many pages a step takes. */
  wanted(segments: readonly Segment[]): number {
    return segments.reduce((sum, segment) => sum + Math.max(0, this.#reach(segment) - this.held(segment.slot)), 0);
  }

  /** How many of them are not there. */
  missing(segments: readonly Segment[]): number {
    return Math.max(0, this.wanted(segments) - this.#free.length);
  }

  /** Gives every slot the pages up to its segment's last row; returns those of each sequence. None may be missing. */
  assign(segments: readonly Segment[]): number[][] {
    return segments.map((segment) => {
      const table = this.#tables[segment.slot]!;
      while (table.length < this.#reach(segment)) table.push(this.#take(table.at(-1) ?? 0));
      return table.slice(0, this.#reach(segment));
    });
  }

  /** How often these sequences, page by page, pass through the blocks from first to last. */
  rounds(tables: readonly (readonly number[])[]): number {
    const descents = tables.map((table) =>
      table.filter((page, n) => n > 0 && this.#block(page) < this.#block(table[n - 1]!)).length
    );
    return 1 + Math.max(0, ...descents);
  }

  #reach({ start, rows }: Segment): number {
    return Math.ceil((start + rows) / this.size);
  }

  #block(page: number): number {
    return this.#bounds.findLastIndex((first) => first <= page);
  }

  #use(pages: readonly number[]): void {
    for (const page of pages) this.#uses[page] = (this.#uses[page] ?? 0) + 1;
  }

  #takeBack(pages: readonly number[]): void {
    const back = pages.filter((page) => --this.#uses[page]! === 0);
    if (back.length > 0) this.#free = [...this.#free, ...back].sort((a, b) => a - b);
  }

  /** A free page, if there is one not in a block before that of `last`: passing through the blocks once is fastest. */
  #take(last: number): number {
    const first = this.#bounds[this.#block(last)]!;
    const at = this.#free.findIndex((page) => page >= first);
    const page = this.#free.splice(Math.max(0, at), 1)[0]!;
    this.#use([page]);
    return page;
  }
}

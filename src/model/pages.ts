/** Which pages of a cache hold the positions of which slot. */
import type { Segment } from "../pipeline/messages.ts";

/** Pages by number, each free or some slot's. The table of a slot names any of them, in the order of its positions. */
export class Pages {
  /** Positions of a page. */
  readonly size: number;
  readonly #tables: number[][];
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

  /** Blocks that they lie in. */
  get blocks(): number {
    return this.#bounds.length - 1;
  }

  /** Adds a block of free pages. */
  addBlock(pages: number): void {
    for (let page = this.count; page < this.count + pages; page++) this.#free.push(page);
    this.#bounds.push(this.count + pages);
  }

  /** Takes the pages of slots back in which a sequence begins. */
  restart(segments: readonly Segment[]): void {
    const back = segments.filter(({ start }) => start === 0).flatMap(({ slot }) => this.#tables[slot]!.splice(0));
    if (back.length > 0) this.#free = [...this.#free, ...back].sort((a, b) => a - b);
  }

  /** How many pages a step lacks. */
  missing(segments: readonly Segment[]): number {
    const wanted = segments.reduce((sum, segment) => sum + Math.max(0, this.#reach(segment) - this.#held(segment)), 0);
    return Math.max(0, wanted - this.#free.length);
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

  #held({ slot }: Segment): number {
    return this.#tables[slot]!.length;
  }

  #block(page: number): number {
    return this.#bounds.findLastIndex((first) => first <= page);
  }

  /** A free page, if there is one not in a block before that of `last`: passing through the blocks once is fastest. */
  #take(last: number): number {
    const first = this.#bounds[this.#block(last)]!;
    const at = this.#free.findIndex((page) => page >= first);
    return this.#free.splice(Math.max(0, at), 1)[0]!;
  }
}

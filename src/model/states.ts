/** Where linear states lie: a slot and snapshots may have one place together, until a step writes to another. */
import type { StatePlaces } from "../backend/backend.ts";
import type { Segment } from "../pipeline/steps.ts";

/** The places of one stage's linear states, of as many on each of its linear layers as there are slots and snapshots. Nothing is ever copied. */
export class States {
  readonly #slots: (number | null)[]; // the place of each
  readonly #snapshots: (number | null)[];
  readonly #positions: number[] = []; // at which snapshots were kept

  constructor(slots: number, snapshots: number) {
    this.#slots = Array(slots).fill(null);
    this.#snapshots = Array(snapshots).fill(null);
  }

  /**
   * Where each segment of a step finds its states and where it leaves them: what a snapshot has is never written. Throws as check() does.
   */
  place(segments: readonly Segment[]): StatePlaces[] {
    this.check(segments);
    for (const { slot, from } of segments) if (from !== undefined) this.#slots[slot] = this.#snapshots[from]!;
    for (const { slot, start, before } of segments) if (before !== undefined) this.#keep(before, slot, start);
    const kept = new Set(this.#snapshots);
    const unused = this.#unused();
    return segments.map(({ slot, start }) => {
      const held = this.#slots[slot] ?? null;
      const to = held === null || kept.has(held) ? unused.next().value! : held;
      this.#slots[slot] = to;
      return { from: start === 0 || held === null ? to : held, to };
    });
  }

  /** Keeps what segments leave, after a step that succeeded. */
  keep(segments: readonly Segment[]): void {
    for (const { slot, start, rows, keep } of segments) if (keep !== undefined) this.#keep(keep, slot, start + rows);
  }

  /**
   * Where a snapshot's states are.
   * @throws RangeError if it was never kept
   */
  placeOf(snapshot: number): number {
    const place = this.#snapshots[snapshot] ?? null;
    if (place === null) throw new RangeError(`Cannot copy snapshot ${snapshot}: it was never kept`);
    return place;
  }

  #keep(snapshot: number, slot: number, position: number): void {
    this.#snapshots[snapshot] = this.#slots[slot] ?? null;
    this.#positions[snapshot] = position;
  }

  /** There is one for every slot that has none, or has that of a snapshot. */
  *#unused(): Generator<number, undefined> {
    const used = new Set([...this.#slots, ...this.#snapshots]);
    for (let place = 0;; place++) if (!used.has(place)) yield place;
  }

  /** @throws RangeError for a snapshot that is not there, was kept at another position, or is kept twice */
  check(segments: readonly Segment[]): void {
    const kept = segments.flatMap(({ before, keep }) => [before ?? [], keep ?? []].flat());
    for (const snapshot of [...kept, ...segments.flatMap(({ from }) => from ?? [])]) {
      const count = this.#snapshots.length;
      if (!Number.isInteger(snapshot) || snapshot < 0 || snapshot >= count) {
        refuse(`snapshot ${snapshot} is none of the ${count}`);
      }
    }
    if (new Set(kept).size < kept.length) refuse(`two of its segments keep the same snapshot`);
    for (const { slot, start, from } of segments) if (from !== undefined) this.#checkStart(slot, start, from);
  }

  #checkStart(slot: number, start: number, from: number): void {
    const kept = this.#positions[from];
    if (kept === undefined) refuse(`slot ${slot} would begin from snapshot ${from}, which was never kept`);
    if (kept !== start) {
      refuse(`slot ${slot} would begin at position ${start} from snapshot ${from}, which was kept at ${kept}`);
    }
  }
}

function refuse(reason: string): never {
  throw new RangeError(`Cannot run the step: ${reason}`);
}

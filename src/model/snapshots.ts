/** Linear states kept from earlier steps: which steps copy what, and at which position each snapshot was taken. */
import type { Copy, StepInput } from "../backend/backend.ts";
import type { Tensor } from "../backend/tensor.ts";
import type { Segment } from "../pipeline/messages.ts";
import type { Place } from "./host_copies.ts";

/** One layer's states and its room for snapshots of them. */
export interface KeptState {
  /** [slots, heads, D, D] */
  readonly state: Tensor;
  /** [snapshots, heads, D, D] */
  readonly snapshots: Tensor;
}

/** The snapshots of one stage: as many on each of its linear layers, and with none of those the positions alone. */
export class Snapshots {
  readonly #count: number;
  readonly #layers: readonly KeptState[];
  readonly #positions = new Map<number, number>();

  constructor(count: number, layers: readonly KeptState[]) {
    this.#count = count;
    this.#layers = layers;
  }

  /** What a step of these segments copies; throws as check() does. */
  copies(segments: readonly Segment[]): Pick<StepInput, "before" | "after"> {
    this.check(segments);
    const before: Copy[] = [];
    const after: Copy[] = [];
    for (const { slot, from, keep } of segments) {
      for (const { state, snapshots } of this.#layers) {
        const slice = { tensor: state, index: slot };
        if (from !== undefined) before.push({ from: { tensor: snapshots, index: from }, to: slice });
        if (keep !== undefined) after.push({ from: slice, to: { tensor: snapshots, index: keep } });
      }
    }
    return { before, after };
  }

  /**
   * What is copied so that segment i could begin once more from snapshot i.
   * @throws RangeError if there are not as many snapshots
   */
  copiesBefore(segments: readonly Segment[]): readonly Copy[] {
    if (segments.length > this.#count) {
      refuse(`its ${segments.length} segments would be kept in ${this.#count} snapshots`);
    }
    segments.forEach(({ start }, i) => this.#positions.set(i, start));
    return this.#layers.flatMap(({ state, snapshots }) =>
      segments.map(({ slot }, i) => ({ from: { tensor: state, index: slot }, to: { tensor: snapshots, index: i } }))
    );
  }

  /**
   * Where a snapshot lies on all linear layers.
   * @throws RangeError if it was never kept
   */
  placesOf(snapshot: number): Place[] {
    if (!this.#positions.has(snapshot)) throw new RangeError(`Cannot copy snapshot ${snapshot}: it was never kept`);
    return this.#layers.map(({ snapshots }) => ({ tensor: snapshots, index: snapshot }));
  }

  /** Where states are to be written for a segment to leave them: to its slot, and to the snapshot that they are kept as. */
  placesLeft({ slot, keep }: Segment): Place[][] {
    const places = [this.#layers.map(({ state }) => ({ tensor: state, index: slot }))];
    if (keep !== undefined) places.push(this.#layers.map(({ snapshots }) => ({ tensor: snapshots, index: keep })));
    return places;
  }

  /** After a step that succeeded. */
  keep(segments: readonly Segment[]): void {
    for (const { start, rows, keep } of segments) if (keep !== undefined) this.#positions.set(keep, start + rows);
  }

  /** @throws RangeError for a snapshot that is not there, was kept at another position, or is kept twice */
  check(segments: readonly Segment[]): void {
    const kept = segments.flatMap(({ keep }) => keep ?? []);
    for (const snapshot of [...kept, ...segments.flatMap(({ from }) => from ?? [])]) {
      if (!Number.isInteger(snapshot) || snapshot < 0 || snapshot >= this.#count) {
        refuse(`snapshot ${snapshot} is none of the ${this.#count}`);
      }
    }
    if (new Set(kept).size < kept.length) refuse(`two of its segments keep the same snapshot`);
    for (const { slot, start, from } of segments) if (from !== undefined) this.#checkStart(slot, start, from);
  }

  #checkStart(slot: number, start: number, from: number): void {
    const kept = this.#positions.get(from);
    if (kept === undefined) refuse(`slot ${slot} would begin from snapshot ${from}, which was never kept`);
    if (kept !== start) {
      refuse(`slot ${slot} would begin at position ${start} from snapshot ${from}, which was kept at ${kept}`);
    }
  }
}

function refuse(reason: string): never {
  throw new RangeError(`Cannot run the step: ${reason}`);
}

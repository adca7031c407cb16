/** What a step that failed leaves behind: later ones, which were under way, went on from states that are not what they should be. */
import type { Segment } from "../pipeline/steps.ts";
import type { Batch, Share } from "./batch.ts";

export class VoidResults {
  readonly #runs = new WeakSet<object>();
  readonly #snapshots = new Set<number>();

  /** Whether nothing counts that was computed for this part of a step. */
  has({ run }: Share): boolean {
    return this.#runs.has(run);
  }

  /** Whether any part of a step went on from something void; to be asked before the step is noted. */
  reaches({ step, shares }: Batch): boolean {
    return shares.some((share, i) => this.has(share) || this.#beginsVoid(step.segments[i]!));
  }

  /**
   * Looks at a step whose results have come, in the order of steps. Returns the snapshots that it was to keep and that are not what they
   * should be: of its segments that failed, and of those that went on from something void.
   */
  note({ step, shares }: Batch, failed: (segment: number) => boolean): number[] {
    return step.segments.flatMap((segment, i) => {
      const { run } = shares[i]!;
      if (failed(i) || this.#beginsVoid(segment)) this.#runs.add(run);
      if (segment.keep === undefined) return [];
      const isVoid = this.#runs.has(run);
      if (isVoid) this.#snapshots.add(segment.keep);
      else this.#snapshots.delete(segment.keep);
      return isVoid ? [segment.keep] : [];
    });
  }

  #beginsVoid({ from }: Segment): boolean {
    return from !== undefined && this.#snapshots.has(from);
  }
}

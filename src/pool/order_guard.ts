/** What a stage's slots and snapshots hold, by the steps that touched them: routes that meet on a stage are not ordered with each other. */
import type { Released, Segment, Step } from "../pipeline/steps.ts";

/** The last that touched a slot or a snapshot. */
interface Touch {
  readonly order: number;
  /** Null once it has been given back. */
  readonly route: number | null;
  /** Up to which position its sequence is there; null where that is not known, as the step failed. */
  readonly position: number | null;
}

type Touched = Map<number, Touch>;

/**
 * Orders are counted over a whole session, upwards. A step that comes after one with a higher number has touched the same is stale, and so is
 * one that would go on from what is not there: it was lost on its way, or failed.
 */
export class OrderGuard {
  readonly #slots: Touched = new Map();
  readonly #snapshots: Touched = new Map();

  /** Notes what a step touches; why it must not run, in one sentence, if it is stale. */
  begin(route: number, step: Step): string | null {
    const { id: order, segments } = step;
    const reason = this.#lateness(step) ?? this.#want(segments);
    for (const segment of segments) {
      const { slot, start, rows, before, keep } = segment;
      const touch = (of: Touched, key: number, position: number) => {
        if ((of.get(key)?.order ?? -1) > order) return;
        of.set(key, { order, route, position: reason === null ? position : null });
      };
      touch(this.#slots, slot, start + rows);
      if (before !== undefined) touch(this.#snapshots, before, start);
      if (keep !== undefined) touch(this.#snapshots, keep, start + rows);
    }
    return reason;
  }

  /** A step that was begun has failed: nobody may go on from what it was to write. */
  fail({ id: order, segments }: Step): void {
    const forget = (of: Touched, key: number | undefined) => {
      const touch = key === undefined ? undefined : of.get(key);
      if (touch?.order === order) of.set(key!, { ...touch, position: null });
    };
    for (const { slot, before, keep } of segments) {
      forget(this.#slots, slot);
      forget(this.#snapshots, before);
      forget(this.#snapshots, keep);
    }
  }

  /** Of what is to be released, that which nobody has touched since. */
  release({ slots, snapshots, order }: Released): Released {
    const taken = (of: Touched, keys: readonly number[]) =>
      keys.filter((key) => {
        const touch = of.get(key);
        if (touch === undefined || touch.order > (order ?? touch.order)) return false;
        of.set(key, { order: order ?? touch.order, route: null, position: null });
        return true;
      });
    return { slots: taken(this.#slots, slots), snapshots: taken(this.#snapshots, snapshots) };
  }

  /** A route has ended: what was last touched through it, which nobody wants any more. */
  leave(route: number): Released {
    const left = (of: Touched) => {
      const keys = [...of].filter(([, touch]) => touch.route === route).map(([key]) => key);
      for (const key of keys) of.set(key, { order: of.get(key)!.order, route: null, position: null });
      return keys;
    };
    return { slots: left(this.#slots), snapshots: left(this.#snapshots) };
  }

  /** A session has ended, and with it its numbers: all that is held. */
  clear(): Released {
    const held = { slots: [...this.#slots.keys()], snapshots: [...this.#snapshots.keys()] };
    this.#slots.clear();
    this.#snapshots.clear();
    return held;
  }

  #lateness({ id: order, segments }: Step): string | null {
    const later = segments.some(({ slot, from, before, keep }) =>
      (this.#slots.get(slot)?.order ?? -1) > order ||
      [from, before, keep].some((one) => one !== undefined && (this.#snapshots.get(one)?.order ?? -1) > order)
    );
    return later ? `step ${order} came after a later one had taken its place` : null;
  }

  /** What a segment would go on from and is not there. */
  #want(segments: readonly Segment[]): string | null {
    for (const { slot, start, from } of segments) {
      const held = from === undefined ? this.#slots.get(slot) : this.#snapshots.get(from);
      if ((start === 0 && from === undefined) || held?.position === start) continue;
      const what = from === undefined ? `slot ${slot}` : `snapshot ${from}`;
      return `${what} does not hold what a sequence has before position ${start}`;
    }
    return null;
  }
}

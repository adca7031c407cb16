/** Which of several routes has what a sequence goes on from: each slot and each snapshot is on one. */
import type { Released } from "../pipeline/steps.ts";

type Kind = "slots" | "snapshots";

export class Pins<Route> {
  readonly #pins: Readonly<Record<Kind, Map<number, Route>>> = { slots: new Map(), snapshots: new Map() };

  /** Undefined if no route has it. */
  of(kind: Kind, number: number): Route | undefined {
    return this.#pins[kind].get(number);
  }

  /** From now on this route has it; returns another that had it until now. */
  pin(kind: Kind, number: number, route: Route): Route | null {
    const before = this.of(kind, number);
    this.#pins[kind].set(number, route);
    return before === undefined || before === route ? null : before;
  }

  /** Slots that a route has. */
  count(route: Route): number {
    return this.#all("slots", route).length;
  }

  /** Nobody has these any more; returns who had them. */
  release({ slots, snapshots }: Released): Map<Route, Released> {
    const shares = new Map<Route, { slots: number[]; snapshots: number[] }>();
    for (const [kind, numbers] of [["slots", slots], ["snapshots", snapshots]] as const) {
      for (const number of numbers) {
        const route = this.of(kind, number);
        if (route === undefined) continue;
        this.#pins[kind].delete(number);
        const share = shares.get(route) ?? { slots: [], snapshots: [] };
        share[kind].push(number);
        shares.set(route, share);
      }
    }
    return shares;
  }

  /** A route has nothing any more; returns what it had. */
  drop(route: Route): Released {
    const had = { slots: this.#all("slots", route), snapshots: this.#all("snapshots", route) };
    this.release(had);
    return had;
  }

  #all(kind: Kind, route: Route): number[] {
    return [...this.#pins[kind]].filter(([, one]) => one === route).map(([number]) => number);
  }
}

/** Carries what a stage keeps between its device and the host's memory. */
import type { Backend } from "../backend/backend.ts";
import type { Tensor } from "../backend/tensor.ts";
import type { Load, Store } from "../pipeline/copies.ts";
import type { Segment } from "../pipeline/steps.ts";
import { HostCopies, type Place } from "./host_copies.ts";
import type { KvCache } from "./kv_cache.ts";
import type { States } from "./states.ts";

export class HostStore {
  readonly #places: States;
  readonly #states: readonly Tensor[];
  readonly #cache: KvCache;
  readonly #copies: { readonly states: HostCopies; readonly pages: HostCopies };

  /** `states` are those of all linear layers, whose `places` are alike. */
  constructor(backend: Backend, places: States, states: readonly Tensor[], cache: KvCache) {
    this.#places = places;
    this.#states = states;
    this.#cache = cache;
    this.#copies = { states: new HostCopies(backend), pages: new HostCopies(backend) };
  }

  /** Copies what a snapshot keeps. */
  async store({ snapshot, pages, state }: Store): Promise<void> {
    for (const [n, copy] of pages) await this.#copies.pages.store(copy, this.#cache.placesKept(snapshot, n));
    if (state !== null) await this.#copies.states.store(state, this.#at(this.#places.placeOf(snapshot)));
  }

  /** Brings back pages for a segment, and states where they are complete. */
  async load(segment: Segment, { pages, state }: Load): Promise<void> {
    this.#places.check([segment]);
    const placed = await this.#cache.place([segment]);
    const held = placed.pages[0]!.slice(-pages.length);
    for (const [i, copy] of pages.entries()) await this.#copies.pages.load(copy, this.#cache.placesOf(held[i]));
    if (state === null) return;
    const [{ to } = { to: 0 }] = this.#places.place([segment]);
    await this.#copies.states.load(state, this.#at(to));
  }

  #at(index: number): Place[] {
    return this.#states.map((tensor) => ({ tensor, index }));
  }
}

/** Keeps a server's routes through the members of its pool: makes them as stages come, and ends them as stages go. */
import type { LayerRange } from "../pipeline/steps.ts";
import { missingLayers, nextChain, rangeName } from "./chains.ts";
import { type MadeRoute, makeRoute, RouteError, type RouteMaker } from "./make_route.ts";
import type { Member, MemberEvent } from "./membership.ts";
import type { ServerEntry, StageCapacity, StageOffer } from "./protocol.ts";
import type { RoutedPipeline } from "./routed_pipeline.ts";
import { leastRoom, refusalOf, type Wanted } from "./suitable.ts";

/** A stage through which a route could not be made is left alone for so long, twice as long each time, up to the most. */
const REST_MILLIS = 500;
const MOST_REST_MILLIS = 4000;
/** Between two looks whether one may be tried again. */
const LOOK_MILLIS = 250;

export interface RoutesOptions {
  readonly maker: RouteMaker;
  readonly wanted: Omit<Wanted, "room">;
  /** What people call the model, and where. */
  readonly modelName: string;
  /** What the engine may have at most. */
  readonly most: { readonly slots: number; readonly context: number };
  readonly pipeline: RoutedPipeline;
  /** The members that are there. */
  readonly members: { readonly all: readonly Member[] };
  /** Hears that something changed: a route, or what is missing. */
  readonly onChange: () => void;
}

/** Stages that are not taken, of which is told why; and in a sentence. */
const MOST_REFUSED = 100;
const MOST_REASONS = 3;

/** With the room that the routes were made for. */
export interface Ready {
  readonly room: StageCapacity;
  readonly stages: readonly StageOffer[];
}

export class Routes implements AsyncDisposable {
  readonly #options: RoutesOptions;
  readonly #routes = new Set<MadeRoute>();
  readonly #failed = new Map<string, { readonly reason: string; readonly until: number }>(); // stages, as a route through them could not be made
  readonly #burdens = new Map<string, number>(); // how often each was on a chain that could not be made or broke, since one was made
  readonly #served = new Set<string>(); // stages that were on routes
  readonly #first = Promise.withResolvers<Ready>();
  readonly #timer: ReturnType<typeof setInterval>;
  #room: StageCapacity | null = null; // once there was a route
  #made = 0;
  #lost = 0;
  #making: Promise<void> | null = null;
  #closed = false;

  constructor(options: RoutesOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), LOOK_MILLIS);
    this.#look();
  }

  /** Resolves once there is a route. */
  get ready(): Promise<Ready> {
    return this.#first.promise;
  }

  /** Those that there are. */
  get all(): ServerEntry["routes"] {
    const { pipeline } = this.#options;
    return [...this.#routes].map((route) => {
      return { route: route.number, stages: route.stages, sequences: pipeline.sequences(route) };
    });
  }

  /** Stages that are not taken, or not for now. */
  get refused(): ServerEntry["refused"] {
    const { members, wanted } = this.#options;
    const reasonOf = (member: Member) => {
      if (member.kind === "server") return null;
      if (member.kind === "unknown") return member.reason;
      const { offer } = member.entry;
      return refusalOf(offer, { ...wanted, room: this.#room }) ?? this.#failed.get(offer.id)?.reason ?? null;
    };
    const verdicts = members.all.map((member) => ({ id: member.id, reason: reasonOf(member) }));
    return verdicts.flatMap(({ id, reason }) => reason === null ? [] : [{ id, reason }]).slice(0, MOST_REFUSED);
  }

  /** Stages that were on routes and went. */
  get lost(): number {
    return this.#lost;
  }

  /** Layers that no stage offers which is suitable. */
  get missing(): LayerRange[] {
    return missingLayers(this.#suitable, this.#layers);
  }

  /** What is wanting, as `layers 10-19 of ring-nano` or `a route through the layers of ring-nano`, with the reasons of stages that are not taken; null if there are routes, or may soon be. */
  get wanting(): string | null {
    const { missing, refused } = this;
    const joins = this.#groups(this.#suitable).some((group) => nextChain(group, [], this.#layers) !== null);
    if (this.#routes.size > 0 || (joins && refused.length === 0)) return null;
    const what = missing.length > 0 ? `layers ${missing.map(rangeName).join(", ")}` : "a route through the layers";
    const reasons = refused.slice(0, MOST_REASONS).map(({ id, reason }) => `; ${id} is not taken: ${reason}`);
    const more = refused.length > MOST_REASONS ? `; and ${refused.length - MOST_REASONS} more are not taken` : "";
    const ranges = missing.length > 0 || joins
      ? ""
      : `; ${this.#suitable.map(({ layers }) => rangeName(layers)).join(", ")} do not join`;
    return `${what} of ${this.#options.modelName}${ranges}${reasons.join("")}${more}`;
  }

  /** Tells what has become of a member. */
  hear({ type, member }: MemberEvent): void {
    if (type === "lost" && member.kind === "stage") this.#lose(member.id);
    this.#look();
  }

  /** Makes no more of them. */
  stop(): void {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    clearInterval(this.#timer);
    await this.#making;
    await Promise.all([...this.#routes].map((route) => route.end("the server ended it")));
  }

  get #layers(): number {
    return this.#options.wanted.model.layers;
  }

  #lose(id: string): void {
    if (this.#served.delete(id)) this.#lost++;
    this.#burdens.delete(id);
    this.#failed.clear(); // for others it may have been to blame
    for (const route of this.#routes) if (route.stages.includes(id)) void route.end(`stage ${id} is lost`);
  }

  /** Stages of this model that have room enough, also if a route through them could not be made. */
  get #suitable(): StageOffer[] {
    const { members, wanted } = this.#options;
    return members.all.flatMap((member) => member.kind === "stage" ? [member.entry.offer] : [])
      .filter((offer) => refusalOf(offer, { ...wanted, room: this.#room }) === null);
  }

  /** Of these, those that may be on a route now. */
  get #ready(): StageOffer[] {
    const now = performance.now();
    return this.#suitable.filter(({ id }) => (this.#failed.get(id)?.until ?? 0) <= now);
  }

  /** Begins with the next route that there should be, if there is one. */
  #look(): void {
    const next = this.#closed || this.#making ? null : this.#next();
    if (next) {
      this.#making = this.#make(next.chain, next.room).finally(() => {
        this.#making = null;
        this.#look();
      });
    }
    this.#options.onChange();
  }

  #next(): { readonly chain: StageOffer[]; readonly room: StageCapacity } | null {
    const chains = [...this.#routes].map(({ stages }) => stages);
    for (const group of this.#groups(this.#ready)) {
      const chain = nextChain(group, chains, this.#layers, this.#burdens);
      if (chain) return { chain, room: this.#room ?? leastRoom(group, this.#options.most) };
    }
    return null;
  }

  /** Before the engine has pages of some size, stages by the size of theirs. */
  #groups(stages: readonly StageOffer[]): StageOffer[][] {
    return [...Map.groupBy(stages, ({ capacity }) => capacity.alignment).values()];
  }

  async #make(chain: readonly StageOffer[], room: StageCapacity): Promise<void> {
    const { maker, pipeline, wanted: { model } } = this.#options;
    try {
      const route = await makeRoute(maker, this.#made++, chain, { ...room, ...model });
      this.#add(route);
      this.#room ??= room;
      pipeline.add(route);
      for (const { id } of chain) this.#forgive(id);
      this.#first.resolve({ room, stages: chain });
    } catch (error) {
      this.#note(error, chain);
    }
  }

  /** A chain could not be made: others come first for a while. Nothing is kept of stages that have gone. */
  #note(error: unknown, chain: readonly StageOffer[]): void {
    this.#burden(chain.map(({ id }) => id));
    const id = error instanceof RouteError ? error.stage : chain[0]!.id;
    const burden = this.#burdens.get(id);
    if (burden === undefined) return;
    const rest = Math.min(MOST_REST_MILLIS, REST_MILLIS * 2 ** (burden - 1));
    const reason = error instanceof Error ? error.message : String(error);
    this.#failed.set(id, { reason, until: performance.now() + rest });
  }

  #burden(stages: readonly string[]): void {
    const there = new Set(this.#options.members.all.map(({ id }) => id));
    for (const id of stages) if (there.has(id)) this.#burdens.set(id, (this.#burdens.get(id) ?? 0) + 1);
  }

  #forgive(id: string): void {
    this.#failed.delete(id);
    this.#burdens.delete(id);
  }

  #add(route: MadeRoute): void {
    this.#routes.add(route);
    for (const id of route.stages) this.#served.add(id);
    const gone = () => {
      this.#routes.delete(route);
      this.#burden(route.stages); // one of which is gone, it may be for longer
      void route.end("it is lost"); // tells its stages
      this.#look();
    };
    if (route.pipeline.broken.aborted) gone();
    else route.pipeline.broken.addEventListener("abort", gone);
  }
}

/** A stage's side of its routes: what servers ask of it, checked, and what passes through it. */
import type { Link } from "../pipeline/link.ts";
import type { FromStage, ToStage } from "../pipeline/steps.ts";
import { fromStageCodec, toStageCodec } from "../wire/codec.ts";
import type { Wire } from "../wire/wire.ts";
import { refused } from "./control.ts";
import {
  type Activations,
  type ControlReply,
  type ControlRequest,
  PROTOCOL,
  type StageOffer,
  type StageStatus,
} from "./protocol.ts";
import { StageRoute } from "./stage_route.ts";
import { StepQueue } from "./step_queue.ts";

type Join = Extract<ControlRequest, { type: "join" }>;
type Connect = Extract<ControlRequest, { type: "connect" }>;
type Leave = Extract<ControlRequest, { type: "leave" }>;

/** At once; each costs an inbox. */
const MOST_ROUTES = 256;

/** What becomes of a stage's routes, for whoever watches it. */
export type StageHostEvent =
  | { readonly type: "joined"; readonly route: number; readonly session: string; readonly to: string }
  | { readonly type: "left"; readonly route: number; readonly session: string; readonly reason: string }
  | { readonly type: "refused"; readonly session: string; readonly reason: string };

export interface StageHostOptions {
  readonly offer: StageOffer;
  readonly wire: Wire;
  /** To the worker and from it. */
  readonly input: Link<never, ToStage>;
  readonly output: Link<ToStage | FromStage, never>;
  /** A message that is in the worker for longer hangs. */
  readonly limitMillis: number;
  /** Whether a server is in the pool. */
  readonly isThere: (session: string) => boolean;
  readonly onEvent?: (event: StageHostEvent) => void;
}

/** Serves one server at a time. */
export class StageHost implements Disposable {
  readonly #options: StageHostOptions;
  readonly #queue: StepQueue;
  readonly #routes = new Map<number, StageRoute | "joining">();
  #activations: Activations = "f32";
  #session: string | null = null;
  #latest = -1; // route of the session
  #leaving = false;
  #malformed = 0;

  constructor(options: StageHostOptions) {
    this.#options = options;
    const { input, output, limitMillis } = options;
    this.#queue = new StepQueue(input, output, { last: this.#isLast, limitMillis });
  }

  /** Resolves to a sentence if the worker does not get on. */
  get hangs(): Promise<string> {
    return this.#queue.hangs;
  }

  get status(): StageStatus {
    return {
      session: this.#routes.size > 0 ? this.#session : null,
      ...this.#queue.figures,
      queue: this.#queue.length,
      malformed: this.#malformed + this.#options.wire.malformed,
      hops: this.#open.flatMap(({ hop }) => hop ?? []),
    };
  }

  /** A request that was none. */
  countMalformed(): void {
    this.#malformed++;
  }

  /** Does what a server asks, or says in one sentence why not. */
  async answer(request: ControlRequest): Promise<ControlReply> {
    try {
      switch (request.type) {
        case "join":
          return await this.#join(request);
        case "connect":
          return await this.#connect(request);
        case "leave":
          return this.#leave(request);
        default:
          return request satisfies never;
      }
    } catch (error) {
      return refused(error instanceof Error ? error.message : String(error));
    }
  }

  /** Takes no further routes, and waits until what is under way has gone on, but no longer than `millis`. */
  async drain(millis: number): Promise<void> {
    this.#leaving = true;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, millis);
    await Promise.race([this.#queue.idle(), late.promise]);
    clearTimeout(timer);
  }

  [Symbol.dispose](): void {
    this.#leaving = true;
    for (const route of this.#open) route.end("the stage ended");
    this.#routes.clear();
    this.#queue[Symbol.dispose]();
  }

  async #join(request: Join): Promise<ControlReply> {
    const { session, route, activations } = request;
    const reason = this.#refusal(request);
    if (reason !== null) {
      this.#options.onEvent?.({ type: "refused", session, reason });
      return refused(reason);
    }
    if (session !== this.#session) this.#begin(session);
    this.#latest = route;
    this.#activations = activations;
    this.#routes.set(route, "joining");
    const { wire, offer } = this.#options;
    const codec = toStageCodec(this.#room, offer.layers.start === 0 ? "tokens" : "hidden", activations);
    const { offer: inbox, link } = await wire.receive(codec).catch((error) => {
      this.#forget(session, route);
      throw error;
    });
    if (this.#session !== session || this.#routes.get(route) !== "joining") {
      link[Symbol.dispose]();
      return refused(`Route ${route} ended while it was being joined`);
    }
    const onEnd = (reason: string) => {
      const wasConnected = joined.connected;
      this.#forget(session, route);
      if (wasConnected) this.#options.onEvent?.({ type: "left", route, session, reason });
    };
    const joined = new StageRoute(session, route, this.#queue, link, onEnd);
    this.#routes.set(route, joined);
    return { type: "joined", inbox };
  }

  #refusal({ protocol, session, route }: Join): string | null {
    if (protocol !== PROTOCOL) {
      return `This stage speaks version ${PROTOCOL} of the pool's protocol, the server version ${protocol}`;
    }
    if (this.#leaving) return "This stage is leaving the pool";
    if (session !== this.#session && this.#routes.size > 0 && this.#options.isThere(this.#session!)) {
      return `This stage works for another server, ${this.#session}`;
    }
    if (session === this.#session && route <= this.#latest) return `Route ${route} is not new`;
    if (session === this.#session && this.#routes.size >= MOST_ROUTES) {
      return `This stage is on ${MOST_ROUTES} routes already`;
    }
    return null;
  }

  /** Another server's orders are counted anew: nothing of the one before may stay. */
  #begin(session: string): void {
    for (const route of this.#open) route.end("its server is gone");
    this.#routes.clear();
    this.#queue.clear();
    this.#session = session;
  }

  async #connect(request: Connect): Promise<ControlReply> {
    const { session, route: number, to, name } = request;
    const route = this.#routeOf(request);
    if (route === null || !route.claim()) return refused(`Route ${number} does not wait here to be connected`);
    const { wire, onEvent } = this.#options;
    const out = this.#isLast
      ? await wire.connect(to, fromStageCodec(this.#room))
      : await wire.connect(to, toStageCodec(this.#room, "hidden", this.#activations));
    if (route.ended) {
      out.link[Symbol.dispose]();
      return refused(`Route ${number} ended while it was being connected`);
    }
    route.connect(name, out);
    onEvent?.({ type: "joined", route: number, session, to: name });
    return { type: "connected", transport: out.transport };
  }

  #leave(request: Leave): ControlReply {
    this.#routeOf(request)?.end("the server ended it");
    this.#forget(request.session, request.route); // also one that is being joined
    return { type: "left" };
  }

  #routeOf({ session, route }: { readonly session: string; readonly route: number }): StageRoute | null {
    const found = session === this.#session ? this.#routes.get(route) : undefined;
    return found === undefined || found === "joining" ? null : found;
  }

  #forget(session: string, route: number): void {
    if (session !== this.#session) return;
    this.#routes.delete(route);
  }

  get #open(): StageRoute[] {
    return [...this.#routes.values()].filter((route) => route !== "joining");
  }

  get #isLast(): boolean {
    const { layers, model } = this.#options.offer;
    return layers.end === model.layers;
  }

  get #room() {
    const { capacity, model } = this.#options.offer;
    return { ...capacity, hidden: model.hidden, vocabulary: model.vocabulary };
  }
}

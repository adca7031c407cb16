/** A server in its pool: in the list of members, with routes through the others. */
import { hostname } from "node:os";
import project from "../../deno.json" with { type: "json" };
import type { PoolStatus } from "../pipeline/pool_status.ts";
import type { Released } from "../pipeline/steps.ts";
import { openWire } from "../wire/open.ts";
import type { Wire, WireOptions } from "../wire/wire.ts";
import { connectBroker } from "./connection.ts";
import { newMemberId } from "./member_id.ts";
import { announce, Members } from "./membership.ts";
import type { NatsOptions } from "./nats_options.ts";
import {
  type Activations,
  inboxSubject,
  type ModelIdentity,
  PROTOCOL,
  type ServerEntry,
  serverKey,
} from "./protocol.ts";
import { RoutedPipeline } from "./routed_pipeline.ts";
import type { RouteMaker } from "./make_route.ts";
import { type Ready, Routes } from "./routes.ts";

const { version } = project;

/** How a server is in a pool; plain data, that may be sent to a worker. */
export interface SessionOptions {
  readonly nats: NatsOptions;
  /** The pool's name. */
  readonly pool: string;
  /** Where stages reach it; null by way of the broker only. */
  readonly direct: WireOptions["direct"];
  readonly activations: Activations;
  /** So long requests wait where there is no route. */
  readonly timeoutMillis: number;
  readonly model: ModelIdentity;
  /** What people call it. */
  readonly modelName: string;
  /** At most. */
  readonly slots: number;
  readonly context: number;
}

export interface SessionHooks {
  /** Hears what is waited for, in one sentence, and null when it is there. */
  onWaiting(what: string | null): void;
  /** Stages are lost, with what they had of these slots and snapshots. */
  onLost(lost: Released): void;
  /** Sequences that run and wait. */
  load(): { readonly running: number; readonly waiting: number };
}

/** Disposing ends the routes and leaves the pool. */
export class Session implements AsyncDisposable {
  /** Runs steps once there are routes. */
  readonly pipeline: RoutedPipeline;
  readonly #options: SessionOptions;
  readonly #hooks: SessionHooks;
  readonly #members: Members;
  readonly #wire: Wire;
  readonly #routes: Routes;
  readonly #leaving = new AsyncDisposableStack();
  #told: string | null = null;
  #restarted = 0;

  private constructor(options: SessionOptions, hooks: SessionHooks, members: Members, maker: RouteMaker) {
    const { model, pool, timeoutMillis: patience, modelName } = options;
    this.#options = options;
    this.#hooks = hooks;
    this.#members = members;
    this.#wire = maker.wire;
    const absence = () => `Nobody has ${this.#routes.wanting ?? "made a route through the stages in time"}`;
    const onLost = (_: unknown, lost: Released) => this.#lose(lost);
    this.pipeline = new RoutedPipeline({ vocabulary: model.vocabulary, patience, absence, onLost });
    this.#routes = new Routes({
      maker,
      wanted: { version, model },
      modelName: `${modelName} in pool ${pool}`,
      most: options,
      pipeline: this.pipeline,
      members,
      onChange: () => queueMicrotask(() => this.#tell()),
    });
    void this.#hear();
  }

  /** @throws {Error} in one sentence if the broker cannot be reached */
  static async join(options: SessionOptions, hooks: SessionHooks): Promise<Session> {
    const { pool, direct, activations } = options;
    await using stack = new AsyncDisposableStack();
    const { nats, secure } = stack.use(await connectBroker(options.nats, "server"));
    const subject = (inbox: string) => inboxSubject(pool, inbox);
    const wire = stack.use(await openWire(nats, { subject, direct, secure }));
    const members = stack.use(await Members.watch(nats, pool));
    const name = newMemberId(hostname());
    const session = new Session(options, hooks, members, { nats, pool, wire, session: name, activations });
    stack.use(session.pipeline);
    stack.use(session.#routes);
    stack.use(await announce(nats, pool, serverKey(name), (beat) => ({ ...session.#entry, session: name, beat })));
    session.#leaving.use(stack.move());
    return session;
  }

  /** Resolves once there is a route; rejects with the signal's reason if that aborts before. */
  ready(signal: AbortSignal): Promise<Ready> {
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    return Promise.race([this.#routes.ready, aborted.promise]);
  }

  get status(): PoolStatus {
    const entries = this.#members.all.flatMap((member) => member.kind === "stage" ? [member.entry] : []);
    const { all: routes, missing, lost } = this.#routes;
    return {
      stages: entries.map(({ offer: { id, host, layers }, status: { session: _, ...figures } }) => {
        return { id, host, layers, ...figures };
      }),
      ...{
        routes,
        missing,
        lost,
        restarted: this.#restarted,
        waited: this.pipeline.waited,
        malformed: this.#wire.malformed,
      },
    };
  }

  /** Lets no step wait any longer, and ends the routes. */
  stop(): void {
    this.#routes.stop();
    this.pipeline[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leaving[Symbol.asyncDispose]();
  }

  get #entry(): Omit<ServerEntry, "session" | "beat"> {
    const { all: routes, refused } = this.#routes;
    const { hash } = this.#options.model;
    return { protocol: PROTOCOL, version, host: hostname(), hash, ...this.#hooks.load(), routes, refused };
  }

  async #hear(): Promise<void> {
    for await (const event of this.#members) this.#routes.hear(event);
  }

  #tell(): void {
    const { wanting } = this.#routes;
    const what = wanting && `Waiting for ${wanting}`;
    if (what !== this.#told) this.#hooks.onWaiting(this.#told = what);
  }

  #lose(lost: Released): void {
    this.#restarted += lost.slots.length;
    this.#hooks.onLost(lost);
  }
}

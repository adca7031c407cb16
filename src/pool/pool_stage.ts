/** A stage as a member of a pool: offered, asked, watched, and taken out again. */
import type { Link } from "../pipeline/link.ts";
import type { FromStage, ToStage } from "../pipeline/steps.ts";
import type { Wire } from "../wire/wire.ts";
import type { Broker } from "./connection.ts";
import { serveControl } from "./control.ts";
import { announce, Members } from "./membership.ts";
import { serverKey, stageKey, type StageOffer } from "./protocol.ts";
import { StageHost, type StageHostEvent } from "./stage_host.ts";

/** A message in the worker for as long hangs, unless the stage was measured to be that slow. */
const LEAST_LIMIT_MILLIS = 30_000;
/** How much slower than measured a stage may get. */
const PATIENCE = 20;

/** So long what is under way may still go on when a stage leaves. */
const DRAIN_MILLIS = 5000;

/** Between two looks for a broker that has gone away while the stage was opened. */
const RETRY_MILLIS = 250;

export type PoolStageEvent =
  | StageHostEvent
  /** A server does not take the stage. */
  | { readonly type: "notTaken"; readonly session: string; readonly reason: string }
  /** The connection to the broker is gone, and is there again; routes over connections of their own go on. */
  | { readonly type: "brokerLost"; readonly reason: string | null }
  | { readonly type: "brokerBack" };

export interface PoolStageParts {
  readonly broker: Broker;
  readonly pool: string;
  readonly wire: Wire;
  readonly offer: StageOffer;
  /** To the stage's worker and back. */
  readonly input: Link<never, ToStage>;
  readonly output: Link<ToStage | FromStage, never>;
  /** Resolves to the reason once the worker runs no more. */
  readonly ended: Promise<string>;
  readonly onEvent?: (event: PoolStageEvent) => void;
  /** Gives up joining. */
  readonly signal?: AbortSignal;
}

/** Disposing leaves the pool in order. What it was made of outlives it. */
export class PoolStage implements AsyncDisposable {
  /** Resolves to a sentence once the stage can do nothing any more. */
  readonly ended: Promise<string>;
  readonly #leaving: AsyncDisposableStack;

  private constructor(ended: Promise<string>, leaving: AsyncDisposableStack) {
    this.ended = ended;
    this.#leaving = leaving;
  }

  /** Resolves once the stage is offered. */
  static async join(parts: PoolStageParts): Promise<PoolStage> {
    const { broker, pool, offer, onEvent = () => {} } = parts;
    const { nats } = broker;
    await using stack = new AsyncDisposableStack();
    const members = stack.use(await Members.watch(nats, pool));
    const isThere = (session: string) => members.has(serverKey(session));
    const host = stack.use(new StageHost({ ...parts, isThere, limitMillis: limitOf(offer) }));
    stack.use(serveControl(nats, pool, offer.id, (request) => host.answer(request), () => host.countMalformed()));
    const ended = Promise.race([parts.ended, host.hangs]);
    stack.defer(() => Promise.race([host.drain(DRAIN_MILLIS), ended.then(() => {})]));
    while (broker.upSince === null) {
      parts.signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MILLIS));
    }
    stack.use(await announce(nats, pool, stageKey(offer.id), (beat) => ({ offer, status: host.status, beat })));
    void tellRefusals(members, offer.id, onEvent);
    void tellBroker(broker, onEvent);
    return new PoolStage(ended, stack.move());
  }

  /** Takes its key out, so that nobody makes routes through it, lets what is under way go on, and ends its links. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leaving[Symbol.asyncDispose]();
  }
}

function limitOf({ capacity, speed }: StageOffer): number {
  return Math.max(LEAST_LIMIT_MILLIS, PATIENCE * Math.max(speed.rowMillis, capacity.maxRows * 1000 / speed.promptRows));
}

/** Tells of each server that does not take the stage, once for each reason. */
async function tellRefusals(members: Members, id: string, onEvent: (event: PoolStageEvent) => void): Promise<void> {
  const told = new Map<string, string>(); // by session
  for await (const { type, member } of members) {
    if (member.kind !== "server") continue;
    const { session, refused } = member.entry;
    const reason = refused.find((one) => one.id === id)?.reason;
    if (type === "lost" || reason === undefined) told.delete(session);
    else if (told.get(session) !== reason) {
      told.set(session, reason);
      onEvent({ type: "notTaken", session, reason });
    }
  }
}

async function tellBroker(broker: Broker, onEvent: (event: PoolStageEvent) => void): Promise<void> {
  for await (const { type } of broker.nats.status()) {
    if (type === "disconnect") onEvent({ type: "brokerLost", reason: broker.trouble });
    if (type === "reconnect") onEvent({ type: "brokerBack" });
  }
}

/** Makes a route through stages of a pool: each is asked to join, and then to connect to the next one. */
import type { NatsConnection } from "@nats-io/nats-core";
import { Pipeline } from "../pipeline/pipeline.ts";
import { fromStageCodec, toStageCodec } from "../wire/codec.ts";
import type { Room } from "../wire/room.ts";
import type { Hop, Wire } from "../wire/wire.ts";
import { askStage } from "./control.ts";
import {
  type Activations,
  type ControlReply,
  type ControlRequest,
  type InboxOffer,
  PROTOCOL,
  type StageOffer,
} from "./protocol.ts"; // deno-fmt-ignore
import type { Route } from "./route.ts";

/** Within which a stage must answer. */
const JOIN_MILLIS = 2000;
/** It may dial the next one in vain before it takes the way by the broker. */
const CONNECT_MILLIS = 5000;

/** A step may take so much longer than stages were measured to need, and this long in any case, but no longer than that. */
const PATIENCE = 20;
const LEAST_DEADLINE_MILLIS = 10_000;
const MOST_DEADLINE_MILLIS = 600_000;

/** What all routes of a server share. */
export interface RouteMaker {
  readonly nats: NatsConnection;
  readonly pool: string;
  readonly wire: Wire;
  readonly session: string;
  readonly activations: Activations;
}

export interface MadeRoute extends Route {
  readonly number: number;
  /** From the server to its first stage. */
  readonly hop: Hop;
  /** Breaks it, and lets its stages know. */
  end(reason: string): Promise<void>;
}

/** A stage did not do its part. */
export class RouteError extends Error {
  override readonly name = "RouteError";

  constructor(readonly stage: string, message: string) {
    super(message);
  }
}

/** @throws {RouteError} for the first stage that refuses, with its sentence; then nothing is left of the route. */
export async function makeRoute(
  maker: RouteMaker,
  number: number,
  chain: readonly StageOffer[],
  room: Room,
): Promise<MadeRoute> {
  const stages = chain.map(({ id }) => id);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => leave(maker, number, stages));
  const inboxes = await Promise.all(stages.map((id) => join(maker, number, id)));
  const results = undo.adopt(await maker.wire.receive(fromStageCodec(room)), ({ link }) => link[Symbol.dispose]());
  const targets = [...inboxes.slice(1), results.offer];
  await Promise.all(stages.map((id, i) => connect(maker, number, id, targets[i]!, stages[i + 1] ?? "server")));
  const first = await maker.wire.connect(inboxes[0]!, toStageCodec(room, "tokens", maker.activations)).catch(
    (error) => {
      throw new RouteError(stages[0]!, `It cannot be reached: ${error.message}`);
    },
  );
  undo.move();
  const pipeline = new Pipeline(first.link, results.link, stages.length);
  void breakAtEnd(pipeline, first.link, stages[0]!);
  return {
    number,
    stages,
    pipeline,
    hop: first,
    deadline: (rows) => deadlineOf(chain, rows),
    async end(reason) {
      pipeline.break(reason);
      await leave(maker, number, stages);
    },
  };
}

async function join(maker: RouteMaker, route: number, id: string): Promise<InboxOffer> {
  const { session, activations } = maker;
  const reply = await ask(maker, id, { type: "join", protocol: PROTOCOL, session, route, activations }, JOIN_MILLIS);
  if (reply.type !== "joined") throw new RouteError(id, `It answers "${reply.type}" to a server that joins`);
  return reply.inbox;
}

async function connect(maker: RouteMaker, route: number, id: string, to: InboxOffer, name: string): Promise<void> {
  await ask(maker, id, { type: "connect", session: maker.session, route, to, name }, CONNECT_MILLIS);
}

async function ask(
  { nats, pool }: RouteMaker,
  id: string,
  request: ControlRequest,
  millis: number,
): Promise<ControlReply> {
  const reply = await askStage(nats, pool, id, request, millis);
  if (reply.type === "refused") throw new RouteError(id, reply.reason);
  return reply;
}

/** Whoever does not hear it notices that its links have ended. */
async function leave({ nats, pool, session }: RouteMaker, route: number, stages: readonly string[]): Promise<void> {
  if (nats.isClosed()) return;
  await Promise.all(stages.map((id) => askStage(nats, pool, id, { type: "leave", session, route }, 1000)));
}

async function breakAtEnd(pipeline: Pipeline, link: AsyncIterable<never>, stage: string): Promise<void> {
  for await (const _ of link);
  pipeline.break(`the link to ${stage} ended`);
}

/** With as many steps before it as may be under way. */
function deadlineOf(chain: readonly StageOffer[], rows: number): number {
  const millis = chain.reduce((sum, { speed }) => sum + speed.rowMillis + rows * 1000 / speed.promptRows, 0);
  const most = PATIENCE * millis * chain.length + LEAST_DEADLINE_MILLIS;
  return Math.round(Math.min(MOST_DEADLINE_MILLIS, most)); // also where a stage says that it has no speed
}

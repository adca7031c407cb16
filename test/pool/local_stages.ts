/** Stages of fakes with their hosts in this thread, and routes through them, made as a server does. */
import { strict as assert } from "node:assert";
import { localLinks } from "../../src/pipeline/link.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { FromStage, LayerRange, ToStage } from "../../src/pipeline/steps.ts";
import { type ControlReply, type ControlRequest, PROTOCOL } from "../../src/pool/protocol.ts";
import { StageHost, type StageHostEvent } from "../../src/pool/stage_host.ts";
import { runStage, type StageModel } from "../../src/stage/stage.ts";
import { fromStageCodec, toStageCodec } from "../../src/wire/codec.ts";
import { type FakeBehaviour, FakeStage, STAGE_INFO, VOCABULARY } from "../stage/fake_stage.ts";
import { exampleOffer } from "./example_entries.ts";
import { type LocalNetwork, LocalWire } from "./local_wire.ts";

/** Layers of the model. */
export const DEPTH = 3;
const CAPACITY = { slots: 6, context: 300, maxRows: 16, keptLogits: 16, snapshots: 8, pages: 1000, alignment: 4 };
const MODEL = { ...exampleOffer("a").model, layers: DEPTH, hidden: 1, vocabulary: VOCABULARY };
export const ROOM = { ...CAPACITY, hidden: 1, vocabulary: VOCABULARY };

/** A stage of fake layers with its host; `there` are the sessions of servers that are in the pool. */
export function openStage(
  network: LocalNetwork,
  layers: LayerRange,
  { there = ["s"], limitMillis = 60_000, behaviour = {}, change = (model) => model }: {
    readonly there?: readonly string[];
    readonly limitMillis?: number;
    readonly behaviour?: FakeBehaviour;
    readonly change?: (model: FakeStage) => StageModel;
  } = {},
) {
  const { slots, keptLogits } = CAPACITY;
  const model = new FakeStage({ layers, slots, keptLogits }, layers.end === DEPTH, behaviour);
  const [input, toModel] = localLinks<never, ToStage>();
  const [output, fromModel] = localLinks<ToStage | FromStage, never>();
  void runStage(change(model), toModel, fromModel).finally(() => fromModel[Symbol.dispose]());
  const events: StageHostEvent[] = [];
  const host = new StageHost({
    offer: exampleOffer(`stage-${layers.start}`, { layers, capacity: CAPACITY, model: MODEL, info: STAGE_INFO }),
    wire: new LocalWire(network),
    ...{ input, output, limitMillis },
    isThere: (session) => there.includes(session),
    onEvent: (event) => events.push(event),
  });
  return { host, events, model };
}

export const join = (route: number, session = "s", protocol = PROTOCOL): ControlRequest => ({
  ...{ type: "join", protocol, session, route },
  activations: "f32",
});

export const inboxOf = (reply: ControlReply) => {
  assert.equal(reply.type, "joined", JSON.stringify(reply));
  return (reply as Extract<ControlReply, { type: "joined" }>).inbox;
};

export const reasonOf = (reply: ControlReply) => reply.type === "refused" ? reply.reason : reply.type;

/** Makes a route as a server does; gives its pipeline. */
export async function makeRoute(
  network: LocalNetwork,
  hosts: readonly StageHost[],
  number: number,
  session = "s",
): Promise<Pipeline> {
  const own = new LocalWire(network);
  const back = await own.receive(fromStageCodec(ROOM));
  const inboxes = [];
  for (const host of hosts) inboxes.push(inboxOf(await host.answer(join(number, session))));
  for (const [i, host] of hosts.entries()) {
    const to = inboxes[i + 1] ?? back.offer;
    const name = i + 1 < hosts.length ? `stage-${i + 1}` : "server";
    const reply = await host.answer({ type: "connect", session, route: number, to, name });
    assert.deepEqual(reply, { type: "connected", transport: "nats" });
  }
  const first = await own.connect(inboxes[0]!, toStageCodec(ROOM, "tokens", "f32"));
  return new Pipeline(first.link, back.link, hosts.length);
}

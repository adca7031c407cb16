/** Stages that servers join into routes by hand: what passes through, what is refused, and what ends when one of it does. */
import { strict as assert } from "node:assert";
import type { Candidates, Step } from "../../src/pipeline/steps.ts";
import type { ControlRequest } from "../../src/pool/protocol.ts";
import type { StageModel } from "../../src/stage/stage.ts";
import { fromStageCodec, toStageCodec } from "../../src/wire/codec.ts";
import { expectedLogits, type FakeStage } from "../stage/fake_stage.ts";
import { DEPTH, inboxOf, join, makeRoute, openStage, reasonOf, ROOM } from "./local_stages.ts";
import { LocalNetwork, LocalWire } from "./local_wire.ts";

const step = (id: number, slot: number, start: number, rows: number, more: Partial<Step> = {}): Step => ({
  ...{ id, segments: [{ slot, start, rows }], outputs: Uint32Array.of(rows - 1) },
  ...more,
});

const best = (tokens: readonly number[]) => {
  const logits = expectedLogits(DEPTH, tokens);
  return logits.indexOf(Math.max(...logits));
};

const turns = async (count = 20) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve));
};

Deno.test("a route through stages gives what the model gives, whole rows too", async () => {
  const network = new LocalNetwork();
  const [a, b] = [openStage(network, { start: 0, end: 2 }), openStage(network, { start: 2, end: 3 })];
  using first = a.host;
  using second = b.host;
  await using pipeline = await makeRoute(network, [first, second], 1);
  assert.equal((await pipeline.run(step(0, 2, 0, 3), Uint32Array.of(5, 6, 7))).ids[0], best([5, 6, 7]));
  assert.equal((await pipeline.run(step(1, 2, 3, 1), Uint32Array.of(9))).ids[0], best([5, 6, 7, 9]));
  assert.deepEqual([...await pipeline.logits(0)], expectedLogits(DEPTH, [5, 6, 7]));
  await pipeline.release({ slots: [2], snapshots: [], order: 2 });
  await assert.rejects(pipeline.run(step(3, 2, 4, 1), Uint32Array.of(9)), /slot 2 does not hold/);
  const { session, steps, rows, queue, hops } = second.status;
  assert.deepEqual({ session, steps, rows, queue }, { session: "s", steps: 2, rows: 4, queue: 0 });
  assert.deepEqual(hops, [{ route: 1, to: "server", transport: "nats", roundTripMillis: 0.5 }]);
  assert.deepEqual(a.events, [{ type: "joined", route: 1, session: "s", to: "stage-1" }]);
});

Deno.test("routes that share a stage each hear of their own steps, and meet there in no order", async () => {
  const network = new LocalNetwork();
  const [shared, left, right] = [{ start: 0, end: 2 }, { start: 2, end: 3 }, { start: 2, end: 3 }]
    .map((layers) => openStage(network, layers).host);
  using _shared = shared!;
  using _left = left!;
  using _right = right!;
  await using one = await makeRoute(network, [shared!, left!], 1);
  await using two = await makeRoute(network, [shared!, right!], 2);
  const answers = await Promise.all([
    one.run(step(0, 0, 0, 2), Uint32Array.of(1, 2)),
    two.run(step(1, 1, 0, 2), Uint32Array.of(3, 4)),
    one.run(step(2, 0, 2, 1), Uint32Array.of(5)),
    two.run(step(3, 1, 2, 1), Uint32Array.of(6)),
  ]);
  assert.deepEqual(answers.map(({ ids }) => ids[0]), [[1, 2], [3, 4], [1, 2, 5], [3, 4, 6]].map(best));
  await two.run(step(9, 0, 0, 1), Uint32Array.of(7));
  const late = await one.run(step(8, 0, 3, 1), Uint32Array.of(7)).catch((error) => error);
  assert.deepEqual([late.lost, late.message], [true, "step 8 came after a later one had taken its place"]);
  assert.equal((await two.run(step(10, 0, 1, 1), Uint32Array.of(8))).ids[0], best([7, 8]));
});

Deno.test("a route that ends anywhere ends everywhere, gives back what was its own, and leaves others alone", async () => {
  const network = new LocalNetwork();
  const released: string[] = [];
  const listen = (model: FakeStage): StageModel =>
    Object.assign(model, { release: ({ slots }: { slots: readonly number[] }) => void released.push(`${slots}`) });
  const [a, b] = [
    openStage(network, { start: 0, end: 2 }, { change: listen }),
    openStage(network, { start: 2, end: 3 }),
  ];
  using first = a.host;
  using second = b.host;
  const one = await makeRoute(network, [first, second], 1);
  await using two = await makeRoute(network, [first, second], 2);
  await one.run(step(0, 3, 0, 1), Uint32Array.of(1));
  await two.run(step(1, 1, 0, 1), Uint32Array.of(1));
  assert.deepEqual(await second.answer({ type: "leave", session: "s", route: 1 }), { type: "left" });
  await turns();
  assert.ok(one.broken.aborted);
  assert.deepEqual(released, ["3"]);
  assert.deepEqual(a.events.at(-1), { type: "left", route: 1, session: "s", reason: "the link to stage-1 ended" });
  assert.deepEqual(b.events.at(-1), { type: "left", route: 1, session: "s", reason: "the server ended it" });
  assert.equal((await two.run(step(2, 1, 1, 1), Uint32Array.of(2))).ids[0], best([1, 2]));
  await two[Symbol.asyncDispose]();
  await turns();
  assert.deepEqual([first.status.session, first.status.hops], [null, []]);
});

Deno.test("a server is refused in one sentence what it may not have", async () => {
  const network = new LocalNetwork();
  const there = ["s"];
  const { host, events } = openStage(network, { start: 0, end: 2 }, { there });
  using _host = host;
  const ask = async (request: ControlRequest) => reasonOf(await host.answer(request));
  assert.match(await ask(join(1, "s", 7)), /speaks version 1 of the pool's protocol, the server version 7/);
  assert.equal(await ask(join(4)), "joined");
  assert.match(await ask(join(4)), /Route 4 is not new/);
  assert.match(await ask(join(3)), /Route 3 is not new/);
  assert.match(await ask(join(1, "other")), /works for another server, s/);
  const connect = {
    type: "connect",
    session: "s",
    to: { subject: "inbox.9", token: "", tcp: null },
    name: "x",
  } as const;
  assert.match(await ask({ ...connect, route: 9 }), /Route 9 does not wait here/);
  assert.match(await ask({ ...connect, route: 4, session: "other" }), /Route 4 does not wait here/);
  assert.match(await ask({ ...connect, route: 4 }), /Cannot reach inbox\.9/);
  assert.match(await ask({ ...connect, route: 4 }), /Route 4 does not wait here/, "it was tried");
  assert.deepEqual(events.map(({ type }) => type), ["refused", "refused", "refused", "refused"]);
  there.pop(); // the server is gone, though its route is not
  assert.equal(await ask(join(1, "other")), "joined");
  assert.match(await ask({ ...connect, route: 4 }), /Route 4 does not wait here/);
  await host.drain(10);
  assert.match(await ask(join(2, "other")), /leaving the pool/);
});

Deno.test("another server finds nothing of the one before", async () => {
  const network = new LocalNetwork();
  const there = ["s"];
  using host = openStage(network, { start: 0, end: 3 }, { there }).host;
  const before = await makeRoute(network, [host], 1);
  await before.run(step(7, 0, 0, 1), Uint32Array.of(1));
  there.pop();
  await using pipeline = await makeRoute(network, [host], 0, "t");
  await turns();
  assert.ok(before.broken.aborted);
  assert.equal((await pipeline.run(step(0, 0, 0, 1), Uint32Array.of(3))).ids[0], best([3]), "numbers begin anew");
  await assert.rejects(pipeline.run(step(1, 1, 1, 1), Uint32Array.of(3)), /slot 1 does not hold/);
});

/** Notes the steps that run, each for 40 ms. */
const slow = (ran: number[]) => (model: FakeStage): StageModel => {
  const forward = model.forward.bind(model);
  return Object.assign(model, {
    forward: async (...args: Parameters<typeof forward>) => {
      ran.push(args[0].id);
      await new Promise((resolve) => setTimeout(resolve, 40));
      return await forward(...args);
    },
  });
};

const outcome = (run: Promise<Candidates>) => run.then(({ ids }) => ids[0], (error: Error) => error.message);

Deno.test("a step that waited for too long is not run, and what waits for a route that has ended neither", async () => {
  const network = new LocalNetwork();
  const ran: number[] = [];
  using host = openStage(network, { start: 0, end: 3 }, { change: slow(ran) }).host;
  await using one = await makeRoute(network, [host], 1);
  await using two = await makeRoute(network, [host], 2);
  await using three = await makeRoute(network, [host], 3);
  const outcomes = [
    one.run(step(0, 0, 0, 1), Uint32Array.of(1)),
    two.run(step(1, 1, 0, 1), Uint32Array.of(2)),
    three.run(step(2, 2, 0, 1, { deadline: 10 }), Uint32Array.of(3)),
  ].map(outcome);
  await turns(2);
  assert.equal(host.status.queue, 3);
  const late = "step 2 waited here until its time was over";
  assert.deepEqual(await Promise.all(outcomes), [best([1]), best([2]), late]);
  const others = [
    one.run(step(3, 0, 1, 1), Uint32Array.of(1)),
    two.run(step(4, 1, 1, 1), Uint32Array.of(1)),
    three.run(step(5, 3, 0, 1), Uint32Array.of(1)),
  ].map(outcome);
  await turns(2);
  await host.answer({ type: "leave", session: "s", route: 3 });
  assert.deepEqual(await Promise.all(others), [best([1, 1]), best([2, 1]), "a stage ended without a word"]);
  assert.deepEqual(ran, [0, 1, 3, 4]);
});

Deno.test("a step that is cancelled fails where it waits, and else where it has gone on to", async () => {
  const network = new LocalNetwork();
  const ran: number[] = [];
  using first = openStage(network, { start: 0, end: 2 }).host;
  using second = openStage(network, { start: 2, end: 3 }, { change: slow(ran) }).host;
  const routes = await Promise.all([1, 2].map((number) => makeRoute(network, [first, second], number)));
  await using one = routes[0]!;
  await using two = routes[1]!;
  const outcomes = [
    one.run(step(0, 0, 0, 1), Uint32Array.of(1)),
    two.run(step(1, 1, 0, 1), Uint32Array.of(2)),
    one.run(step(2, 2, 0, 1), Uint32Array.of(3)),
    two.run(step(3, 3, 0, 1), Uint32Array.of(4)),
  ].map(outcome);
  await turns(4);
  assert.equal(second.status.queue, 4);
  one.cancel(2);
  two.cancel(2); // of another route: nobody's
  const cancelled = "nobody waits for it any more";
  assert.deepEqual(await Promise.all(outcomes), [best([1]), best([2]), cancelled, best([4])]);
  assert.deepEqual(ran, [0, 1, 3]);
  const next = one.run(step(4, 2, 0, 1), Uint32Array.of(5));
  await turns(1);
  one.cancel(4); // it is in the second stage's worker
  assert.equal(await outcome(next), cancelled);
  assert.equal(await outcome(one.run(step(5, 0, 1, 1), Uint32Array.of(6))), best([1, 6]));
});

Deno.test("a peer that sends what is no message loses its route, which is counted, and nothing else", async () => {
  const network = new LocalNetwork();
  using host = openStage(network, { start: 0, end: 3 }).host;
  await using good = await makeRoute(network, [host], 1);
  const own = new LocalWire(network);
  const inbox = inboxOf(await host.answer(join(2)));
  const back = await own.receive(fromStageCodec(ROOM));
  await host.answer({ type: "connect", session: "s", route: 2, to: back.offer, name: "server" });
  const plain = { maxBytes: 99, encode: (bytes: Uint8Array) => bytes, decode: (bytes: Uint8Array) => bytes };
  const bad = await own.connect(inbox, plain);
  bad.link.send(Uint8Array.of(255, 1, 2));
  await turns();
  assert.equal(host.status.malformed, 1);
  assert.deepEqual(host.status.hops.map(({ route }) => route), [1]);
  assert.equal((await good.run(step(0, 0, 0, 1), Uint32Array.of(3))).ids[0], best([3]));
});

Deno.test("a route that is left while it is joined is left", async () => {
  using host = openStage(new LocalNetwork(), { start: 0, end: 3 }).host;
  const joined = host.answer(join(1)); // a stage that was stopped finds both at the same time
  assert.deepEqual(await host.answer({ type: "leave", session: "s", route: 1 }), { type: "left" });
  assert.match(reasonOf(await joined), /Route 1 ended while it was being joined/);
  assert.equal(host.status.session, null);
  const late = host.answer(join(2));
  host[Symbol.dispose]();
  assert.match(reasonOf(await late), /Route 2 ended/);
});

Deno.test("a route that is not connected yet keeps no messages, and ends with its link", async () => {
  const network = new LocalNetwork();
  using host = openStage(network, { start: 0, end: 3 }).host;
  const own = new LocalWire(network);
  for (const route of [1, 2]) {
    const { link } = await own.connect(inboxOf(await host.answer(join(route))), toStageCodec(ROOM, "tokens", "f32"));
    assert.equal(host.status.session, "s");
    if (route === 1) link.send({ type: "tokens", step: step(0, 0, 0, 1), tokens: Uint32Array.of(3) });
    else link[Symbol.dispose]();
    await turns();
    assert.equal(host.status.session, null);
  }
});

Deno.test("a route on which more steps come than may be under way ends, and others go on", async () => {
  const network = new LocalNetwork();
  const gate = Promise.withResolvers<void>();
  const slow = (model: FakeStage): StageModel => {
    const forward = model.forward.bind(model);
    return Object.assign(model, {
      forward: (...args: Parameters<typeof forward>) => gate.promise.then(() => forward(...args)),
    });
  };
  const { host, events } = openStage(network, { start: 0, end: 3 }, { change: slow });
  using _host = host;
  await using good = await makeRoute(network, [host], 1);
  const begun = good.run(step(0, 0, 0, 1), Uint32Array.of(3));
  const own = new LocalWire(network);
  const inbox = inboxOf(await host.answer(join(2)));
  const back = await own.receive(fromStageCodec(ROOM));
  await host.answer({ type: "connect", session: "s", route: 2, to: back.offer, name: "server" });
  const { link } = await own.connect(inbox, toStageCodec(ROOM, "tokens", "f32"));
  for (let id = 1; id <= 200; id++) {
    link.send({ type: "tokens", step: step(id, 1, id - 1, 1), tokens: Uint32Array.of(3) });
  }
  await turns();
  const last = events.at(-1)!;
  assert.deepEqual([last.type, last.type === "left" && last.reason], ["left", "more came than may be under way"]);
  assert.ok(host.status.queue < 5);
  gate.resolve();
  assert.equal((await begun).ids[0], best([3]));
});

Deno.test("a worker that does not get on is told of", async () => {
  const network = new LocalNetwork();
  const stuck = (model: FakeStage): StageModel => Object.assign(model, { forward: () => new Promise<never>(() => {}) });
  using host = openStage(network, { start: 0, end: 3 }, { change: stuck, limitMillis: 900 }).host;
  const pipeline = await makeRoute(network, [host], 1);
  const run = pipeline.run(step(0, 0, 0, 1), Uint32Array.of(3)).catch((error) => error.message);
  assert.equal(await host.hangs, "its worker has been at one step for 1 s");
  pipeline.break("over");
  assert.equal(await run, "over");
});

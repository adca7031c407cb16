/** A server and stages of fakes in this process, over a real broker: routes come to be, go, and come again. */
import { strict as assert } from "node:assert";
import { setTimeout as pause } from "node:timers/promises";
import { request } from "../engine/local_engine.ts";
import { text } from "../engine/text.ts";
import { NO_NATS } from "../nats_server.ts";
import { expectedTokens } from "../stage/fake_stage.ts";
import { exampleOffer } from "./example_entries.ts";
import { DEPTH, LocalPool, type LocalServer } from "./local_pool.ts";

/** A test over a real broker. */
function test(name: string, run: () => Promise<void>): void {
  Deno.test({ name: NO_NATS === null ? name : `${name} (${NO_NATS})`, ignore: NO_NATS !== null, fn: run });
}

async function until(happened: () => boolean, millis = 10_000): Promise<void> {
  const begun = performance.now();
  while (!happened()) {
    assert.ok(performance.now() - begun < millis, `it did not happen: ${happened}`);
    await pause(5);
  }
}

const routesOf = ({ session }: LocalServer) => session.status.routes.map(({ stages }) => stages);

/** Asks for `count` answers that begin with the same page, and checks them; `meanwhile` is called in the middle. */
async function answer(server: LocalServer, from: number, count: number, meanwhile = async () => {}): Promise<void> {
  const engine = await server.engine;
  const prompt = (id: number) => [...text(1, 9), ...text(id, 12)];
  for (let id = from; id < from + count; id++) engine.generate(id, request(prompt(id), { maxTokens: 60 }));
  await until(() => server.outcome(from).tokens.length > 10);
  await meanwhile();
  for (let id = from; id < from + count; id++) {
    const { tokens, reason } = await server.end(id);
    assert.deepEqual([tokens, reason], [expectedTokens(DEPTH, prompt(id), 60), null], `answer ${id}`);
  }
}

for (const direct of [true, false]) {
  const how = direct ? "over connections of their own" : "by way of the broker";
  test(`Session makes routes through all stages, ${how}, and sequences go on when one is killed`, async () => {
    await using pool = await LocalPool.start({ direct });
    const a = await pool.stage(0, 1);
    const server = await pool.server();
    await until(() => server.waits.length > 0);
    assert.equal(server.waits[0], "Waiting for layers 2-3 of fake in pool p");
    const b = await pool.stage(2, 3);
    await answer(server, 0, 6);
    assert.equal(server.waits.at(-1), null);
    assert.deepEqual(routesOf(server), [[a.id, b.id]]);
    const c = await pool.stage(2, 3);
    await until(() => routesOf(server).length === 2);
    await answer(server, 6, 8, () => b.kill());
    await until(() => server.session.status.lost === 1);
    assert.deepEqual(routesOf(server), [[a.id, c.id]]);
    const { restarted, missing } = server.session.status;
    assert.ok(restarted > 0);
    assert.deepEqual(missing, []);
    await answer(server, 14, 4);
  });
}

test("Session lets requests wait for a stage that comes back, and fails them in one sentence when none does", async () => {
  await using pool = await LocalPool.start();
  await pool.stage(0, 1);
  let last = await pool.stage(2, 3);
  const server = await pool.server({ timeoutMillis: 4000 });
  await answer(server, 0, 4, async () => {
    await last.kill();
    last = await pool.stage(2, 3);
  });
  await last.kill();
  const engine = await server.engine;
  for (const id of [4, 5]) engine.generate(id, request([id], { maxTokens: 20 }));
  for (const id of [4, 5]) assert.match((await server.end(id)).reason!, /^Nobody has /);
  await until(() => server.session.status.stages.length === 1);
  engine.generate(6, request([1]));
  assert.equal((await server.end(6)).reason, "Nobody has layers 2-3 of fake in pool p");
  assert.equal(server.waits.at(-1), "Waiting for layers 2-3 of fake in pool p");
  await pool.stage(2, 3);
  await until(() => routesOf(server).length > 0);
  await answer(server, 7, 4);
});

test("Session says so where all layers are there and no route is, as ranges do not join", async () => {
  await using pool = await LocalPool.start();
  await pool.stage(0, 2);
  await pool.stage(2, 3);
  const server = await pool.server();
  const sentence = "Waiting for a route through the layers of fake in pool p; 0-2, 2-3 do not join";
  await until(() => server.waits.at(-1) === sentence);
  await pool.stage(0, 1);
  await until(() => routesOf(server).length === 1);
});

test("Session does not take stages of another model or version, or with less room than its engine has", async () => {
  await using pool = await LocalPool.start();
  await pool.stage(0, 1);
  const { model } = exampleOffer("x");
  const foreign = await pool.stage(2, 3, { model: { ...model, layers: DEPTH, hash: "cd".repeat(32) } });
  const old = await pool.stage(2, 3, { version: "0.0.9" });
  const server = await pool.server();
  await until(() => server.waits.some((what) => what?.includes(foreign.id) && what.includes(old.id)));
  const waits = server.waits.find((what) => what?.includes(old.id))!;
  assert.match(
    waits,
    /^Waiting for layers 2-3 of fake in pool p; s2-3-\d is not taken: It has another model: its hash is cdcdcdcdcdcd/,
  );
  assert.match(waits, /It runs Ringlet 0.0.9, this server 0.1.0/);
  await pool.stage(2, 3, {}, { slots: 3 });
  await answer(server, 0, 4);
  assert.equal(server.session.status.routes.length, 1);
  await pool.stage(2, 3, {}, { slots: 2 });
  await pool.stage(2, 3, {}, { slots: 9 });
  await until(() => server.session.status.routes.length === 2);
  await answer(server, 4, 4);
  assert.deepEqual(routesOf(server).flat().includes(foreign.id), false);
});

test("Session waits while another server has the stages, and takes them when that leaves", async () => {
  await using pool = await LocalPool.start();
  await pool.stage(0, 1);
  await pool.stage(2, 3);
  const first = await pool.server();
  await answer(first, 0, 2);
  const second = await pool.server();
  await until(() => second.waits.length > 0);
  const what =
    /^Waiting for a route through the layers of fake in pool p; s\d-\d-\d is not taken: This stage works for another server, /;
  assert.match(second.waits.at(-1)!, what);
  await answer(first, 2, 4);
  await first[Symbol.asyncDispose]();
  await answer(second, 0, 4);
  assert.equal(second.waits.at(-1), null);
});

for (const direct of [true, false]) {
  const how = direct ? "goes on while the broker is away" : "makes its routes anew where the broker carried them";
  test(`Session ${how}, when that is started again`, async () => {
    await using pool = await LocalPool.start({ direct });
    await pool.stage(0, 1);
    await pool.stage(2, 3);
    const server = await pool.server();
    await answer(server, 0, 4);
    await answer(server, 4, 6, () => pool.broker.restart());
    assert.equal(server.session.status.restarted > 0, !direct);
    await answer(server, 10, 4);
  });
}

test("Session lets sequences go on elsewhere when a stage leaves in order", async () => {
  await using pool = await LocalPool.start();
  await pool.stage(0, 3);
  const leaving = await pool.stage(0, 3);
  const server = await pool.server();
  await server.engine;
  await until(() => routesOf(server).length === 2);
  await answer(server, 0, 6, async () => await leaving[Symbol.asyncDispose]());
  await until(() => server.session.status.stages.length === 1);
  assert.deepEqual(routesOf(server).length, 1);
});

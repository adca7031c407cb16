/** A stage that joins a pool: what it offers, what it refuses to open, and what becomes of it when its worker ends. */
import { strict as assert } from "node:assert";
import { joinPool, type JoinSettings } from "../../src/load/join_pool.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { connectBroker } from "../../src/pool/connection.ts";
import { askStage } from "../../src/pool/control.ts";
import { Members } from "../../src/pool/membership.ts";
import { inboxSubject, PROTOCOL } from "../../src/pool/protocol.ts";
import { fromStageCodec, toStageCodec } from "../../src/wire/codec.ts";
import { openWire } from "../../src/wire/open.ts";
import { testOnBroker } from "../nats_server.ts";

const SMALL: Omit<JoinSettings, "nats"> = {
  ...{ threads: 1, maxContext: 512, maxSequences: 2, prefixCache: 2 ** 26 },
  backend: "wasm",
  gpu: "deno",
  layers: "0-9",
};

const testPool = (name: string, run: (settings: JoinSettings) => Promise<void>): void =>
  testOnBroker(name, ({ url }) => run({ ...SMALL, nats: { url } }));

testPool("what is offered is what serve would open, for these layers", async (settings) => {
  const heard: number[] = [];
  await using stage = await joinPool({ ...settings, onProgress: (done, total) => heard.push(done / total) });
  const { offer } = stage;
  assert.equal(heard.at(-1), 1);
  assert.deepEqual(offer.layers, { start: 0, end: 10 });
  const { snapshots, pages, ...capacity } = offer.capacity;
  assert.deepEqual(capacity, { slots: 2, context: 512, maxRows: 256, keptLogits: 16, alignment: 256 });
  assert.ok(snapshots > 0 && pages > 4, `${snapshots} ${pages}`);
  assert.equal(offer.model.vocabulary, offer.info.vocabulary);
  assert.ok(offer.speed.rowMillis > 0 && offer.speed.promptRows > 0);
});

testPool("layers that a WASM memory does not hold are refused with advice before they are loaded", async (settings) => {
  const error = await joinPool({ ...settings, memoryBytes: 2 ** 25 }).then(() => null, (error) => error);
  assert.match(String(error), /^RangeError: Cannot hold layers 0-9 on a WASM memory: .* or fewer --layers$/);
  await assert.rejects(joinPool({ ...settings, layers: "5-10" }), /the model has layers 0 to 9/);
  await assert.rejects(joinPool({ ...settings, gpu: ["deno", "dawn"] }), /several GPUs in one stage/);
});

testPool("a stage whose worker ends says why, and is out of the pool", async (settings) => {
  const workers = new URL("fake_workers/", import.meta.url);
  const stage = await joinPool({ ...settings, direct: null, workers });
  await using broker = await connectBroker(settings.nats, "server");
  await using members = await Members.watch(broker.nats, "default");
  assert.equal(members.all.length, 1);
  const subject = (inbox: string) => inboxSubject("default", inbox);
  await using wire = await openWire(broker.nats, { subject, direct: null, secure: false });
  const { id, capacity, model } = stage.offer;
  const room = { ...capacity, ...model };
  const back = await wire.receive(fromStageCodec(room));
  const ask = (request: Parameters<typeof askStage>[3]) => askStage(broker.nats, "default", id, request, 5000);
  const joined = await ask({ type: "join", protocol: PROTOCOL, session: "s", route: 0, activations: "f32" });
  assert.ok(joined.type === "joined");
  const connected = await ask({ type: "connect", session: "s", route: 0, to: back.offer, name: "server" });
  assert.deepEqual(connected, { type: "connected", transport: "nats" });
  const first = await wire.connect(joined.inbox, toStageCodec(room, "tokens", "f32"));
  await using pipeline = new Pipeline(first.link, back.link, 1);
  const step = (id: number, start: number, rows: number) => ({
    ...{ id, segments: [{ slot: 0, start, rows }], outputs: Uint32Array.of(rows - 1) },
  });
  await pipeline.run(step(0, 0, 100), new Uint32Array(100));
  const lost = pipeline.run(step(1, 100, 1), new Uint32Array(1)).catch((error) => error.message);
  assert.equal(await stage.ended, "its worker ended without a word");
  await stage[Symbol.asyncDispose]();
  assert.equal(await lost, "a stage ended without a word");
  for await (const event of members) if (event.type === "lost") break;
  assert.deepEqual(members.all, []);
});

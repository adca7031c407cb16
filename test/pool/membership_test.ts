/** Who is in a pool, over a real broker: coming, changing, leaving, falling silent, and a broker that restarts without what it knew. */
import { strict as assert } from "node:assert";
import { Kvm } from "@nats-io/kv";
import { type Broker, connectBroker } from "../../src/pool/connection.ts";
import { announce, type MemberEvent, Members } from "../../src/pool/membership.ts";
import { bucketOf, LOST_MILLIS, serverKey, stageKey } from "../../src/pool/protocol.ts";
import { NatsServer, testOnBroker } from "../nats_server.ts";
import { exampleServer, exampleStage } from "./example_entries.ts";

const join = ({ url }: NatsServer): Promise<Broker> => connectBroker({ url }, "stage");

async function next(members: Members, wanted: (event: MemberEvent) => boolean = () => true): Promise<MemberEvent> {
  for await (const event of members) if (wanted(event)) return event;
  throw new Error("The watching ended");
}

const comesOrGoes = ({ type }: MemberEvent) => type !== "changed";

testOnBroker("members are heard of when they come, change and leave in order", async (server) => {
  await using own = await join(server);
  await using other = await join(server);
  await using members = await Members.watch(own.nats, "default");
  assert.deepEqual(members.all, []);
  const stage = await announce(other.nats, "default", stageKey("a"), (beat) => exampleStage("a", beat));
  assert.deepEqual(await next(members), {
    type: "joined",
    member: { kind: "stage", id: "a", entry: exampleStage("a") },
  });
  assert.deepEqual(await next(members), {
    type: "changed",
    member: { kind: "stage", id: "a", entry: exampleStage("a", 2) },
  });
  await using _server = await announce(other.nats, "default", serverKey("s"), (beat) => exampleServer("s", beat));
  assert.equal((await next(members, comesOrGoes)).member.kind, "server");
  await stage[Symbol.asyncDispose]();
  const event = await next(members, comesOrGoes);
  assert.deepEqual([event.type, event.member.id, event.type === "lost" && event.left], ["lost", "a", true]);
  assert.deepEqual(members.all.map(({ id }) => id), ["s"]);
});

testOnBroker("those who are there already are told to whoever comes, other pools are not", async (server) => {
  await using own = await join(server);
  await using _a = await announce(own.nats, "one", stageKey("a"), (beat) => exampleStage("a", beat));
  await using _b = await announce(own.nats, "two", stageKey("b"), (beat) => exampleStage("b", beat));
  await using members = await Members.watch(own.nats, "one");
  assert.deepEqual(members.all.map(({ id }) => id), ["a"]);
});

testOnBroker("who falls silent is lost", async (server) => {
  await using own = await join(server);
  const bucket = await new Kvm(own.nats).create(bucketOf("default"));
  await using members = await Members.watch(own.nats, "default");
  const begun = performance.now();
  await bucket.put(stageKey("a"), JSON.stringify(exampleStage("a")));
  assert.equal((await next(members)).type, "joined");
  const event = await next(members);
  assert.deepEqual([event.type, event.type === "lost" && event.left], ["lost", false]);
  assert.ok(performance.now() - begun >= LOST_MILLIS - 100);
});

testOnBroker(
  "nobody is lost while the broker is away, and all are back in the bucket after its restart",
  async (server) => {
    await using own = await join(server);
    await using other = await join(server);
    await using _a = await announce(other.nats, "default", stageKey("a"), (beat) => exampleStage("a", beat));
    await using members = await Members.watch(own.nats, "default");
    await server.stop();
    await new Promise((resolve) => setTimeout(resolve, LOST_MILLIS + 1000));
    await server.restart();
    const last = await next(members, ({ member }) => member.kind === "stage" && member.entry.beat > 4);
    assert.equal(last.type, "changed", "it was lost or came anew");
    await new Promise((resolve) => setTimeout(resolve, 2500)); // the bucket is made by the next heartbeats
    const entry = await (await new Kvm(own.nats).open(bucketOf("default"))).get(stageKey("a"));
    assert.equal(entry?.operation, "PUT");
  },
);

testOnBroker("entries that cannot be read are members that nobody knows", async (server) => {
  await using own = await join(server);
  const bucket = await new Kvm(own.nats).create(bucketOf("default"));
  await using members = await Members.watch(own.nats, "default");
  const stage = exampleStage("a");
  const reasonOf = async (key: string, value: unknown) => {
    await bucket.put(key, typeof value === "string" ? value : JSON.stringify(value));
    const { member } = await next(members);
    return member.kind === "unknown" ? member.reason : member.kind;
  };
  assert.match(await reasonOf("stage.a", "{"), /Cannot read the entry of stage\.a: .*JSON/);
  assert.match(await reasonOf("stage.a", "null"), /Cannot read the entry of stage\.a/);
  assert.match(await reasonOf("stage.b", stage), /it names another stage/);
  assert.match(
    await reasonOf("stage.a", { offer: { protocol: 2, else: 1 } }),
    /it speaks version 2 .* this is version 1/,
  );
  const escape = { ...stage, offer: { ...stage.offer, host: "\x1b[2J" } };
  assert.match(await reasonOf("stage.a", escape), /offer\.host: has characters that cannot be shown/);
  const stray = { ...stage, offer: { ...stage.offer, layers: { start: 3, end: 9 } } };
  assert.match(await reasonOf("stage.a", stray), /has layers that its model has not/);
  assert.match(await reasonOf("stage.a", { ...stage, beat: -1 }), /beat: /);
  assert.match(
    await reasonOf("stage.a", JSON.stringify({ ...stage, more: "x".repeat(300_000) })),
    /it has 30\d+ bytes/,
  );
  await bucket.put("else.c", JSON.stringify(stage)); // no member's key: nobody hears of it
  assert.equal(await reasonOf("stage.a", stage), "stage");
  assert.deepEqual(members.all.map(({ id }) => id), ["a", "b"]);
});

testOnBroker("a broker that does not let us make a pool is told of in one sentence", async (_server) => {
  const rights = `publish: ["$JS.API.INFO", "_INBOX.>"], subscribe: ">"`;
  const more = `authorization { users: [{ user: a, password: b, permissions: { ${rights} } }] }`;
  await using plain = await NatsServer.start(more);
  await using own = await connectBroker({ url: plain.url.replace("//", "//a:b@") }, "stage");
  await assert.rejects(
    announce(own.nats, "default", stageKey("a"), (beat) => exampleStage("a", beat)),
    /^Error: Cannot open the pool default at .*: .*\(it needs a NATS server with JetStream\)$/,
  );
});

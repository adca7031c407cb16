/** deploy/nats.conf on the real server: each role can do what it must, and nothing else; without a certificate nobody can do anything. */
import { strict as assert } from "node:assert";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/nats-core";
import { connectBroker } from "../../src/pool/connection.ts";
import { announce, Members } from "../../src/pool/membership.ts";
import { fetchModel } from "../../src/pool/models/fetch.ts";
import { pushModel } from "../../src/pool/models/push.ts";
import { ModelStore } from "../../src/pool/models/store.ts";
import { controlSubject, inboxSubject, serverKey, type StageEntry, stageKey } from "../../src/pool/protocol.ts";
import { openWire } from "../../src/wire/open.ts";
import type { Codec } from "../../src/wire/wire.ts";
import { Broker, makeCertificates, type Role, ROLES } from "./broker.ts";
import { program, testWith } from "./linters.ts";

const natsServer = program("nats-server");
const test = (name: string, run: (broker: Broker) => Promise<void>) =>
  testWith(natsServer, "apt-get install nats-server", `nats.conf: ${name}`, async (path) => {
    await using broker = await Broker.start(path);
    await run(broker);
  });

test("who has no certificate, or one of another authority, does not get in", async (broker) => {
  const own = broker.options("stage");
  const other = join(broker.folder, "other");
  await makeCertificates(other);
  const stranger = broker.options("stage", other);
  const { url, caFile } = own;
  await assert.rejects(connectBroker({ url, caFile }, "stage"));
  await assert.rejects(connectBroker({ url, caFile, user: "stage" }, "stage"));
  await assert.rejects(connectBroker({ ...stranger, caFile }, "stage"));
  await assert.rejects(connectBroker(stranger, "stage")); // nor would it trust the broker's
  await using _let = await connectBroker(own, "stage");
});

/** What may be done, and by whom. */
const RIGHTS: readonly (readonly [verb: "publish" | "subscribe", subject: string, roles: readonly Role[]])[] = [
  ["publish", controlSubject("default", "x"), ["server"]],
  ["subscribe", controlSubject("default", "x"), ["stage"]],
  ["publish", controlSubject("other", "x"), []],
  ["publish", inboxSubject("default", "x"), ["server", "stage"]],
  ["publish", `${inboxSubject("default", "x")}.back`, ["server", "stage"]],
  ["subscribe", inboxSubject("default", "x"), ["server", "stage"]],
  ["subscribe", `${inboxSubject("default", "x")}.back`, ["server", "stage"]],
  ["subscribe", inboxSubject("other", "x"), []],
  ["publish", `$KV.ringlet_default.${stageKey("x")}`, ["stage"]],
  ["publish", `$KV.ringlet_default.${serverKey("x")}`, ["server"]],
  ["publish", `$KV.ringlet_other.${stageKey("x")}`, []],
  ["subscribe", "$KV.ringlet_default.>", ["server", "stage", "watch"]],
  ["publish", "$O.ringlet_models.C.x", ["publish"]],
  ["publish", "$O.ringlet_models.M.x", ["publish"]],
  ["publish", "$JS.API.STREAM.CREATE.KV_ringlet_default", ["server", "stage"]],
  ["publish", "$JS.API.STREAM.CREATE.OBJ_ringlet_models", ["publish"]],
  ["publish", "$JS.API.STREAM.CREATE.x", []],
  ["publish", "$JS.API.STREAM.UPDATE.KV_ringlet_default", []],
  ["publish", "$JS.API.STREAM.PURGE.KV_ringlet_default", []],
  ["publish", "$JS.API.STREAM.DELETE.KV_ringlet_default", []],
  ["publish", "$JS.API.STREAM.PURGE.OBJ_ringlet_models", ["publish"]],
  ["publish", "$JS.API.STREAM.DELETE.OBJ_ringlet_models", []],
  ...ROLES.map((role) => ["publish", `_INBOX.${role}.x`, []] as const),
  ["subscribe", "_INBOX.server.x", ["server"]],
  ["subscribe", "_INBOX.stage.x", ["stage"]],
  ["subscribe", "_INBOX.watch.x", ["server", "watch", "publish"]],
  ["subscribe", "_INBOX.publish.x", ["publish"]],
  ["subscribe", "_INBOX.>", []],
  ["subscribe", ">", []],
  ["subscribe", "ringlet.>", []],
  ["subscribe", "$SYS.>", []],
];

test("each role may use the subjects that it must, and no others", async (broker) => {
  for (const role of ROLES) {
    await using connection = await broker.connect(role);
    const { nats } = connection;
    const refused: string[] = [];
    const note = (error: Error | null) => {
      const [, verb, subject] = /Permissions Violation for (Publish|Subscription) to "(.+)"/.exec(
        error?.message ?? "",
      )!;
      refused.push(`${verb === "Publish" ? "publish" : "subscribe"} ${subject}`);
    };
    const statuses = nats.status();
    for (const [verb, subject] of [...RIGHTS, ["publish", "end"] as const]) {
      if (verb === "publish") nats.publish(subject);
      else nats.subscribe(subject, { callback: () => {} }); // the status has its refusal too
    }
    for await (const status of statuses) {
      if (status.type === "error") note(status.error);
      if (refused.at(-1) === "publish end") break;
    }
    refused.pop();
    const wanted = RIGHTS.filter(([, , roles]) => !roles.includes(role)).map(([verb, subject]) => `${verb} ${subject}`);
    assert.deepEqual([role, refused.sort()], [role, wanted.sort()]);
  }
});

const ENTRY = { offer: {}, status: {}, beat: 1 } as unknown as StageEntry;

async function joined(nats: NatsConnection): Promise<string> {
  await using members = await Members.watch(nats, "default");
  for await (const event of members) if (event.type === "joined") return event.member.kind;
  return "";
}

test("a stage offers itself, servers and watchers hear of it, and a server is answered", async (broker) => {
  await using connections = new AsyncDisposableStack();
  const [stage, server, watch] = await Promise.all((["stage", "server", "watch"] as const).map(async (role) => {
    return connections.use(await broker.connect(role)).nats;
  })) as [NatsConnection, NatsConnection, NatsConnection];
  await using _announced = await announce(stage, "default", stageKey("x"), () => ENTRY);
  assert.deepEqual(await Promise.all([joined(server), joined(watch), joined(stage)]), [
    "unknown",
    "unknown",
    "unknown",
  ]);
  stage.subscribe(controlSubject("default", "x"), { callback: (_, message) => void message.respond("yes") });
  await stage.flush();
  const reply = await server.request(controlSubject("default", "x"), "join", { timeout: 1000 });
  assert.equal(reply.string(), "yes");
  await assert.rejects(watch.request(controlSubject("default", "x"), "join", { timeout: 1000 }));
});

const BYTES: Codec<Uint8Array> = { maxBytes: 2 ** 24, encode: (bytes) => bytes, decode: (bytes) => bytes.slice() };

test("frames go from servers to stages, between stages, and back to servers, by way of the broker", async (broker) => {
  await using connections = new AsyncDisposableStack();
  const join = async (role: "server" | "stage") => {
    const { nats, secure } = connections.use(await broker.connect(role));
    const subject = (inbox: string) => inboxSubject("default", inbox);
    return connections.use(await openWire(nats, { subject, direct: null, secure }));
  };
  const [server, first, last] = [await join("server"), await join("stage"), await join("stage")];
  const frame = new Uint8Array(3_000_000).map((_, i) => i); // longer than max_payload
  for (const [from, to] of [[server, first], [first, last], [last, server]] as const) {
    const inbound = await to.receive(BYTES);
    const outbound = await from.connect(inbound.offer, BYTES);
    assert.equal(outbound.transport, "nats");
    outbound.link.send(frame);
    for await (const received of inbound.link) {
      assert.deepEqual(received, frame);
      break;
    }
    outbound.link[Symbol.dispose]();
  }
});

test("models are pushed by who may publish, and fetched by stages, servers and watchers", async (broker) => {
  const [folder, cache] = [join(broker.folder, "model"), join(broker.folder, "cache")];
  await Deno.mkdir(folder);
  const model = new Uint8Array(3_000_000).map((_, i) => i * i);
  const push = (store: ModelStore) => pushModel(store, { name: "m", folder, files: [{ name: "weights" }] });
  await using publisher = await broker.connect("publish");
  const store = await ModelStore.open(publisher.nats, { make: true });
  await Deno.writeFile(join(folder, "weights"), model.toReversed());
  await push(store);
  await Deno.writeFile(join(folder, "weights"), model);
  const stored = await push(store); // in place of the one before, whose pieces go
  assert.equal((await store.pieces("m", { butOf: "" })).length, 1);
  for (const role of ["stage", "server", "watch"] as const) {
    await using connection = await broker.connect(role);
    const open = await ModelStore.open(connection.nats);
    assert.deepEqual(await open.list(), [stored]);
    const fetched = await fetchModel(open, { name: "m", cache: join(cache, role) });
    assert.deepEqual(await Deno.readFile(join(fetched, "weights")), model);
    await assert.rejects(push(open), { message: /Permissions Violation/ });
  }
});

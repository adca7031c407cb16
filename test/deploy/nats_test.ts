/** deploy/nats.conf on the real server: each role can do what it must, and nothing else; without a certificate nobody can do anything. */
import { strict as assert } from "node:assert";
import { Objm } from "@nats-io/obj";
import type { NatsConnection } from "@nats-io/transport-node";
import { announce, Members } from "../../src/pool/membership.ts";
import { controlSubject, inboxSubject, serverKey, type StageEntry, stageKey } from "../../src/pool/protocol.ts";
import { Broker, type Role, ROLES } from "./broker.ts";
import { program, testWith } from "./linters.ts";

const natsServer = program("nats-server");
const test = (name: string, run: (broker: Broker) => Promise<void>) =>
  testWith(natsServer, "apt-get install nats-server", `nats.conf: ${name}`, async (path) => {
    await using broker = await Broker.start(path);
    await run(broker);
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
  ["subscribe", "_INBOX.watch.x", ["server", "watch"]],
  ["subscribe", "_INBOX.publish.x", ["publish"]],
  ["subscribe", "_INBOX.>", []],
  ["subscribe", ">", []],
  ["subscribe", "ringlet.>", []],
  ["subscribe", "$SYS.>", []],
];

test("each role may use the subjects that it must, and no others", async (broker) => {
  for (const role of ROLES) {
    const nats = await broker.connect(role);
    const refused: string[] = [];
    const note = (error: Error | null) => {
      const [, verb, subject] = /Permissions Violation for (Publish|Subscription) to "(.+)"/.exec(
        error?.message ?? "",
      )!;
      refused.push(`${verb === "Publish" ? "publish" : "subscribe"} ${subject}`);
    };
    const listening = (async () => {
      for await (const status of nats.status()) if (status.type === "error") note(status.error);
    })();
    for (const [verb, subject] of RIGHTS) {
      if (verb === "publish") nats.publish(subject);
      else nats.subscribe(subject, { callback: () => {} }); // the status has its refusal too
    }
    await nats.flush();
    await nats.close();
    await listening;
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
  const [stage, server, watch] = await Promise.all([
    broker.connect("stage"),
    broker.connect("server"),
    broker.connect("watch"),
  ]);
  {
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
  }
  await Promise.all([stage, server, watch].map((nats) => nats.close()));
});

test("models are put into the store by who may publish, and read by stages, servers and watchers", async (broker) => {
  const model = crypto.getRandomValues(new Uint8Array(3 * 2 ** 20 / 64)); // getRandomValues gives 64 KiB at most
  const publisher = await broker.connect("publish");
  const store = await new Objm(publisher).create("ringlet_models");
  await store.putBlob({ name: "m/weights" }, model);
  for (const role of ["stage", "server"] as const) {
    const nats = await broker.connect(role);
    const open = await new Objm(nats).open("ringlet_models");
    assert.deepEqual(Uint8Array.from((await open.getBlob("m/weights"))!), model);
    await assert.rejects(open.putBlob({ name: "m/other" }, model));
    await nats.close();
  }
  await store.delete("m/weights");
  await publisher.close();
});

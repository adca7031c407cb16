/** Links between members: whole and in order over both transports, and ended when the other side is gone. */
import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { Secrets } from "../../src/wire/secrets.ts";
import { NatsServer, NO_NATS } from "../nats_server.ts";
import { BYTES, ended, hop, Member } from "./member.ts";

const KINDS = ["tcp", "sealed", "nats"] as const;
const transportOf = (kind: (typeof KINDS)[number]) => kind === "nats" ? "nats" : "tcp";

const FRAMES = [0, 1, 100, 8192, 65_536, 131_072, 131_073, 3_000_000, 5, 12_000_000].map((length, i) =>
  new Uint8Array(length).map((_, at) => (at * 7 + i) & 255)
);

const test = (name: string, run: () => Promise<void>) => Deno.test({ name, ignore: NO_NATS !== null, fn: run });

for (const kind of KINDS) {
  test(`a link (${kind}) carries frames of all sizes in order, also those before its end`, async () => {
    await using server = await NatsServer.start();
    await using a = await Member.join(server.url, kind);
    await using b = await Member.join(server.url, kind);
    const { inbound, outbound } = await hop(a, b);
    assert.equal(outbound.transport, transportOf(kind));
    for (const frame of FRAMES) outbound.link.send(frame);
    outbound.link[Symbol.dispose]();
    outbound.link.send(FRAMES[1]!);
    const received = await ended(inbound.link);
    assert.equal(received.length, FRAMES.length);
    for (const [i, frame] of FRAMES.entries()) assert.ok(Buffer.compare(received[i]!, frame) === 0, `frame ${i}`);
    assert.equal(a.wire.malformed + b.wire.malformed, 0);
  });

  test(`a sender's link (${kind}) ends when its receiver's does`, async () => {
    await using server = await NatsServer.start();
    await using a = await Member.join(server.url, kind);
    await using b = await Member.join(server.url, kind);
    const { inbound, outbound } = await hop(a, b);
    outbound.link.send(FRAMES[2]!);
    for await (const _ of inbound.link) break;
    while (outbound.roundTripMillis === null) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.ok(outbound.roundTripMillis > 0);
    inbound.link[Symbol.dispose]();
    assert.deepEqual(await ended(outbound.link), []);
    outbound.link.send(FRAMES[2]!);
  });

  test(`links (${kind}) end when a member goes`, async () => {
    await using server = await NatsServer.start();
    await using stays = await Member.join(server.url, kind);
    const goes = await Member.join(server.url, kind);
    const [there, back] = [await hop(stays, goes), await hop(goes, stays)];
    await goes[Symbol.asyncDispose]();
    await Promise.all([ended(there.outbound.link), ended(back.inbound.link)]);
  });

  test(`a link (${kind}) ends with a frame that is no message, and with one that is too long`, async () => {
    await using server = await NatsServer.start();
    await using a = await Member.join(server.url, kind);
    await using b = await Member.join(server.url, kind);
    for (
      const codec of [{ ...BYTES, maxBytes: 99 }, {
        ...BYTES,
        decode: () => {
          throw new RangeError("no message");
        },
      }]
    ) {
      const before = b.wire.malformed;
      const inbound = await b.wire.receive(codec);
      const outbound = await a.wire.connect(inbound.offer, BYTES);
      outbound.link.send(FRAMES[2]!);
      assert.deepEqual(await ended(inbound.link), []);
      await ended(outbound.link);
      assert.equal(b.wire.malformed, before + 1);
    }
  });
}

test("the broker's end ends links by way of it, and no others", async () => {
  await using server = await NatsServer.start();
  await using a = await Member.join(server.url);
  await using b = await Member.join(server.url);
  await using c = await Member.join(server.url, "nats");
  const direct = await hop(a, b);
  const by = await hop(a, c);
  assert.equal(by.outbound.transport, "nats");
  await server.stop();
  await Promise.all([ended(by.inbound.link), ended(by.outbound.link)]);
  assert.equal(a.broker.upSince, null);
  assert.match(a.broker.trouble!, /^Cannot connect to the broker at .*: /);
  await server.restart();
  direct.outbound.link.send(FRAMES[3]!);
  for await (const frame of direct.inbound.link) {
    assert.equal(frame.length, 8192);
    break;
  }
  while (a.broker.upSince === null || c.broker.upSince === null) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(a.broker.trouble, null);
  const again = await hop(a, c);
  again.outbound.link.send(FRAMES[2]!);
  for await (const _ of again.inbound.link) break;
});

test("a sender takes the broker where the addresses of an offer lead to nobody, or to someone else", async () => {
  await using server = await NatsServer.start();
  await using a = await Member.join(server.url);
  await using b = await Member.join(server.url);
  await using other = await Member.join(server.url);
  const elsewhere = (await other.wire.receive(BYTES)).offer.tcp!;
  for (const tcp of [elsewhere, { ...elsewhere, hosts: ["127.0.0.1", "::1", "no.such.host.invalid"], port: 1 }]) {
    const inbound = await b.wire.receive(BYTES);
    const outbound = await a.wire.connect({ ...inbound.offer, tcp }, BYTES);
    assert.equal(outbound.transport, "nats");
    outbound.link.send(FRAMES[2]!);
    for await (const _ of inbound.link) break;
  }
  assert.equal(other.wire.malformed, 1);
});

test("an inbox takes one sender, and nobody reaches one that is gone or of another pool", async () => {
  await using server = await NatsServer.start();
  await using a = await Member.join(server.url);
  await using b = await Member.join(server.url);
  const { inbound, outbound } = await hop(a, b);
  await assert.rejects(a.wire.connect(inbound.offer, BYTES), /^Error: Cannot reach ringlet\.test\.inbox\.\w+: /);
  const gone = await b.wire.receive(BYTES);
  gone.link[Symbol.dispose]();
  await assert.rejects(a.wire.connect(gone.offer, BYTES), /Cannot reach/);
  await assert.rejects(a.wire.connect({ ...gone.offer, subject: "$JS.API.INFO" }, BYTES), /no inbox of this pool/);
  outbound.link.send(FRAMES[2]!);
  for await (const _ of inbound.link) break;
});

test("a link ends whose other side says nothing for 3 s", async () => {
  await using server = await NatsServer.start();
  await using a = await Member.join(server.url);
  const inbound = await a.wire.receive(BYTES);
  const { hello, welcome } = new Secrets(inbound.offer.token);
  using silent = await Deno.connect({ port: inbound.offer.tcp!.port });
  await silent.write(hello);
  const answer = new Uint8Array(32);
  await silent.read(answer);
  assert.deepEqual(answer, welcome);
  assert.deepEqual(await ended(inbound.link), []);
});

/** What strangers and hostile senders send to a member's port and subjects: refused and counted, while links beside go on. */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import { Opener, Sealer } from "../../src/wire/seal.ts";
import { Secrets } from "../../src/wire/secrets.ts";
import type { Offer } from "../../src/wire/wire.ts";
import { NatsServer, NO_NATS } from "../nats_server.ts";
import { BYTES, ended, hop, Member } from "./member.ts";

const SEED = 7;
const COUNT = 1000;
/** At the same time; a member lets no more strangers than 64 wait. */
const AT_ONCE = 20;

const test = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore: NO_NATS !== null, fn });

/** Runs `attack` beside a live link of each transport into `target`, which lose nothing meanwhile. */
async function besideLinks(
  attack: (target: Member, attacker: Member, live: Offer) => Promise<void>,
  how: "tcp" | "sealed" = "tcp",
): Promise<void> {
  await using server = await NatsServer.start();
  await using target = await Member.join(server.url, how);
  await using direct = await Member.join(server.url, how);
  await using by = await Member.join(server.url, "nats");
  await using attacker = await Member.join(server.url);
  const hops = [await hop(direct, target), await hop(by, target)];
  assert.deepEqual(hops.map(({ outbound }) => outbound.transport), ["tcp", "nats"]);
  const received = hops.map(({ inbound }) => ended(inbound.link));
  let sent = 0;
  const timer = setInterval(() => {
    for (const { outbound } of hops) outbound.link.send(new Uint8Array(8192).fill(sent));
    sent++;
  }, 5);
  try {
    await attack(target, attacker, hops[1]!.inbound.offer);
  } finally {
    clearInterval(timer);
  }
  for (const { outbound } of hops) outbound.link[Symbol.dispose]();
  for (const frames of await Promise.all(received)) {
    assert.ok(sent > 0 && frames.every((frame, i) => frame.length === 8192 && frame[0] === (i & 255)));
    assert.equal(frames.length, sent);
  }
}

async function inTurns<T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await each(item);
  }));
}

const samples = <T>(arbitrary: fc.Arbitrary<T>): T[] => fc.sample(arbitrary, { seed: SEED, numRuns: COUNT });

/** Says all of `bytes`, hears what there is, and is gone. */
async function say(port: number, ...bytes: readonly Uint8Array[]): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const hear = new Response(connection.readable).arrayBuffer().catch(() => {});
  const writer = connection.writable.getWriter();
  for (const part of bytes) await writer.write(part).catch(() => {});
  await writer.close().catch(() => {});
  await hear;
}

test("a thousand connections of strangers are refused and counted", () =>
  besideLinks(async (target) => {
    const { port } = (await target.wire.receive(BYTES)).offer.tcp!;
    await inTurns(samples(fc.uint8Array({ minLength: 1, maxLength: 300 })), (bytes) => say(port, bytes));
    while (target.wire.malformed < COUNT) await pause();
    assert.equal(target.wire.malformed, COUNT);
  }));

test("a thousand messages of strangers to a live link's subject are refused and counted", () =>
  besideLinks(async (target, attacker, live) => {
    const { tag } = new Secrets(live.token).sender;
    const nearly = fc.uint8Array({ maxLength: 99 }).map((rest) => Uint8Array.of(...tag.with(3, tag[3]! ^ 1), ...rest));
    const anything = fc.oneof(fc.uint8Array({ maxLength: 99 }), nearly, fc.constant(new Uint8Array(0)));
    for (const bytes of samples(anything)) attacker.nats.publish(live.subject, bytes);
    while (target.wire.malformed < COUNT) await pause();
    assert.equal(target.wire.malformed, COUNT);
  }));

/** Bytes behind a proof or a tag: a length and a kind that may be anything, and a body. */
const GARBAGE = fc.tuple(
  fc.oneof(fc.nat(99), fc.nat({ max: 0xffff_ffff })),
  fc.oneof(fc.nat(3), fc.nat(255)),
  fc.uint8Array({ maxLength: 99 }),
).map(([length, kind, body]) => {
  const bytes = new Uint8Array(5 + body.length);
  new DataView(bytes.buffer).setUint32(0, length);
  bytes[4] = kind;
  bytes.set(body, 5);
  return bytes;
});

for (const how of ["tcp", "sealed"] as const) {
  test(`a thousand senders (${how}) that have a token and send garbage end their own links only`, () =>
    besideLinks(async (target) => {
      let messages = 0;
      await inTurns(samples(GARBAGE), async (garbage) => {
        const { link, offer } = await target.wire.receive(BYTES);
        const { hello } = new Secrets(offer.token);
        await say(offer.tcp!.port, hello, garbage);
        messages += (await ended(link)).length;
      });
      assert.ok(target.wire.malformed > COUNT / 2, `${target.wire.malformed}`);
      assert.ok(how === "tcp" ? messages + target.wire.malformed <= COUNT : messages === 0);
    }, how));
}

test("a thousand senders by way of the broker that have a token and send garbage end their own links only", () =>
  besideLinks(async (target, attacker) => {
    let messages = 0;
    await inTurns(samples(GARBAGE), async (garbage) => {
      const { link, offer } = await target.wire.receive(BYTES);
      const { tag } = new Secrets(offer.token).sender;
      await target.nats.flush(); // it listens
      // Kind first, as in a part's header; what is no end is followed by one.
      const part = Uint8Array.of(...tag, garbage[4]!, ...garbage.subarray(0, 4), ...garbage.subarray(5));
      attacker.nats.publish(offer.subject, part);
      attacker.nats.publish(offer.subject, Uint8Array.of(...tag, 3, ...new Uint8Array(12)));
      messages += (await ended(link)).length;
    });
    assert.ok(target.wire.malformed > COUNT / 2, `${target.wire.malformed}`);
    assert.ok(messages < COUNT / 10);
  }));

test("a sealed frame that was changed, repeated, moved or left out is refused", () => {
  const { key } = new Secrets("ab".repeat(32)).sender;
  const sealer = new Sealer(key);
  const header = Uint8Array.of(0, 0, 0, 9, 0);
  const frame = Uint8Array.from({ length: 9 }, (_, i) => i);
  const sealed = [0, 1, 2].map(() => sealer.seal(header, frame));
  const open = (order: readonly number[], change: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes) => {
    const opener = new Opener(key);
    return order.map((at) => opener.open(header, sealed[at]!.proof, change(sealed[at]!.body)));
  };
  assert.deepEqual(open([0, 1, 2]), [frame, frame, frame]);
  assert.deepEqual(open([0, 0]), [frame, null]);
  assert.deepEqual(open([1]), [null]);
  assert.deepEqual(open([0], (bytes) => bytes.with(4, bytes[4]! ^ 1)), [null]);
  assert.equal(new Opener(key).open(header.with(4, 1), sealed[0]!.proof, sealed[0]!.body), null);
  assert.equal(
    new Opener(new Secrets("ab".repeat(32)).receiver.key).open(header, sealed[0]!.proof, sealed[0]!.body),
    null,
  );
  return Promise.resolve();
});

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

/** Links between members: in order and whole over both transports, and ended when either side is gone. */
import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { connectBroker } from "../../src/pool/connection.ts";
import { openWire } from "../../src/wire/open.ts";
import type { Codec, Wire } from "../../src/wire/wire.ts";
import { NatsServer, NO_NATS } from "../nats_server.ts";

const BYTES: Codec<Uint8Array> = { maxBytes: 2 ** 24, encode: (bytes) => bytes, decode: (bytes) => bytes.slice() };
const DIRECT = { port: 0, hosts: ["127.0.0.1"] };

interface Member extends AsyncDisposable {
  readonly wire: Wire;
}

async function member(url: string, { direct = DIRECT as typeof DIRECT | null, secure = false } = {}): Promise<Member> {
  const broker = await connectBroker({ url }, "stage");
  const wire = await openWire(broker.nats, { subject: (inbox) => `ringlet.test.inbox.${inbox}`, direct, secure });
  return {
    wire,
    async [Symbol.asyncDispose]() {
      await wire[Symbol.asyncDispose]();
      await broker[Symbol.asyncDispose]();
    },
  };
}

const frames = [0, 1, 100, 8192, 65_536, 131_072, 131_073, 3_000_000, 5, 12_000_000].map((length, i) =>
  new Uint8Array(length).map((_, at) => (at * 7 + i) & 255)
);

for (const [transport, options] of [["tcp", {}], ["tcp", { secure: true }], ["nats", { direct: null }]] as const) {
  const name = `${transport}${"secure" in options ? ", sealed" : ""}`;
  Deno.test(
    { name: `a link over ${name} carries frames of all sizes in order`, ignore: NO_NATS !== null },
    async () => {
      await using server = await NatsServer.start();
      await using a = await member(server.url, options);
      await using b = await member(server.url, options);
      const inbound = await b.wire.receive(BYTES);
      const outbound = await a.wire.connect(inbound.offer, BYTES);
      assert.equal(outbound.transport, transport);
      for (const frame of frames) outbound.link.send(frame);
      const received = inbound.link[Symbol.asyncIterator]();
      for (const [i, frame] of frames.entries()) {
        const { value } = await received.next();
        assert.ok(value && Buffer.compare(value, frame) === 0, `frame ${i}`);
      }
      outbound.link.send(frames[3]!);
      outbound.link[Symbol.dispose]();
      assert.equal((await received.next()).value?.length, 8192);
      assert.equal((await received.next()).done, true);
      assert.ok(outbound.roundTripMillis! > 0);
      assert.equal(a.wire.malformed + b.wire.malformed, 0);
    },
  );
}

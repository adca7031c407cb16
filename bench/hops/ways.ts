/** The ways from one process to another and back that are timed: those of the wire, and the floors under them. */
import type { NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { connectBroker } from "../../src/pool/connection.ts";
import type { ToStage } from "../../src/pipeline/steps.ts";
import { toStageCodec } from "../../src/wire/codec.ts";
import { openWire } from "../../src/wire/open.ts";
import type { Activations } from "../../src/wire/room.ts";
import type { Inbound, Offer } from "../../src/wire/wire.ts";

/** H of Ring-mini-linear-2.0, and the rows of its largest step. */
export const HIDDEN = 2048;
export const MOST_ROWS = 512;
const ROOM = {
  ...{ slots: 8, snapshots: 0, context: 4096, maxRows: MOST_ROWS },
  ...{ hidden: HIDDEN, vocabulary: 157_184 },
};
const SUBJECT = "ringlet.bench";

/** Sends rows there, and comes true once as many are back. Both sides have one of a name; the other's answers until it is disposed. */
export interface Way extends AsyncDisposable {
  there(rows: number): Promise<void>;
}

/** Opens a way, on the side that asks or on the one that answers. */
export type Open = (url: string, answers: boolean) => Promise<Way>;

export const WAYS: Readonly<Record<string, Open>> = {
  "floor: TCP, Deno's own": tcpFloor,
  "floor: NATS, its client's transport": (url, answers) => natsFloor(connect({ servers: url }), answers),
  "floor: NATS, our transport": async (url, answers) =>
    natsFloor((await connectBroker({ url }, "stage")).nats, answers),
  "TCP": (url, answers) => wire(url, answers, { direct: true, secure: false, activations: "f32" }),
  "TCP, sealed": (url, answers) => wire(url, answers, { direct: true, secure: true, activations: "f32" }),
  "TCP, bf16": (url, answers) => wire(url, answers, { direct: true, secure: false, activations: "bf16" }),
  "NATS": (url, answers) => wire(url, answers, { direct: false, secure: false, activations: "f32" }),
  "NATS, bf16": (url, answers) => wire(url, answers, { direct: false, secure: false, activations: "bf16" }),
};

interface WireKind {
  readonly direct: boolean;
  readonly secure: boolean;
  readonly activations: Activations;
}

/** Steps of hidden rows over two hops, encoded and decoded as between stages. */
async function wire(url: string, answers: boolean, { direct, secure, activations }: WireKind): Promise<Way> {
  const { nats } = await connectBroker({ url }, "stage");
  const subject = (inbox: string) => `${SUBJECT}.inbox.${inbox}`;
  const member = await openWire(nats, { subject, direct: direct ? { port: 0, hosts: ["127.0.0.1"] } : null, secure });
  const codec = toStageCodec(ROOM, "hidden", activations);
  const inbound: Inbound<ToStage> = await member.receive(codec);
  const exchange: Promise<Offer> = answers
    ? new Promise((resolve) =>
      nats.subscribe(SUBJECT, {
        max: 1,
        callback: (_, message) => {
          message.respond(JSON.stringify(inbound.offer));
          resolve(message.json());
        },
      })
    )
    : nats.request(SUBJECT, JSON.stringify(inbound.offer)).then((message) => message.json());
  const received = inbound.link[Symbol.asyncIterator]();
  const outbound = exchange.then((offer) => member.connect(offer, codec));
  if (answers) {
    outbound.then(async ({ link }) => {
      for (let next = await received.next(); !next.done; next = await received.next()) link.send(next.value);
    });
    await nats.flush();
  } else await outbound;
  return {
    async there(rows) {
      const step = { id: 1, segments: [{ slot: 0, start: 0, rows }], outputs: Uint32Array.of(rows - 1) };
      (await outbound).link.send({ type: "hidden", step, hidden: new Float32Array(rows * HIDDEN) });
      await received.next();
    },
    async [Symbol.asyncDispose]() {
      await member[Symbol.asyncDispose]();
      await nats.close();
    },
  };
}

/** Bytes over one connection, read and written as Deno does it; the other side answers when it has all. */
async function tcpFloor(url: string, answers: boolean): Promise<Way> {
  const port = Number(new URL(url).port) + 1;
  const buffer = new Uint8Array(4 * HIDDEN * MOST_ROWS);
  const read = async (connection: Deno.Conn, length: number) => {
    for (let count = 0; count < length;) count += (await connection.read(buffer.subarray(count, length)))!;
  };
  const write = async (connection: Deno.Conn, length: number) => {
    for (let count = 0; count < length;) count += await connection.write(buffer.subarray(count, length));
  };
  if (answers) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port });
    listener.accept().then(async (connection) => {
      connection.setNoDelay(true);
      for (;;) {
        const count = (await connection.read(buffer))!;
        const length = 4 * HIDDEN * (buffer[0]! * 256 + buffer[1]!);
        for (let more = count; more < length;) more += (await connection.read(buffer.subarray(more, length)))!;
        await write(connection, length);
      }
    }).catch(() => {});
    return { there: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve(listener.close()) };
  }
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  return {
    async there(rows) {
      [buffer[0], buffer[1]] = [rows >> 8, rows & 255];
      await write(connection, 4 * HIDDEN * rows);
      await read(connection, 4 * HIDDEN * rows);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(connection.close()),
  };
}

/** A request and its answer of as many bytes, in messages as long as the broker takes, of which only the first asks. */
async function natsFloor(connecting: NatsConnection | Promise<NatsConnection>, answers: boolean): Promise<Way> {
  const nats = await connecting;
  const most = nats.info!.max_payload;
  const publish = (subject: string, length: number) => {
    for (let count = 0; count < length; count += most) {
      nats.publish(subject, new Uint8Array(Math.min(most, length - count)));
    }
  };
  let wanted = 0;
  let received = 0;
  let done = () => {};
  const [own, other] = answers ? ["there", "back"] : ["back", "there"];
  nats.subscribe(`${SUBJECT}.floor.rows`, {
    callback: (_, message) => {
      if (answers) wanted = Number(message.string()) * 4 * HIDDEN;
    },
  });
  nats.subscribe(`${SUBJECT}.floor.${own}`, {
    callback: (_, { data }) => {
      received += data.length;
      if (received < wanted) return;
      received = 0;
      if (answers) publish(`${SUBJECT}.floor.${other}`, wanted);
      else done();
    },
  });
  await nats.flush();
  return {
    async there(rows) {
      if (wanted !== rows * 4 * HIDDEN) nats.publish(`${SUBJECT}.floor.rows`, `${rows}`);
      wanted = rows * 4 * HIDDEN;
      const back = new Promise<void>((resolve) => done = resolve);
      publish(`${SUBJECT}.floor.${other}`, wanted);
      await back;
    },
    [Symbol.asyncDispose]: () => nats.close(),
  };
}

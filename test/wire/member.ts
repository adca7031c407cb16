/** A member for tests of the wire: its connection to the broker, and its wire. */
import type { NatsConnection } from "@nats-io/nats-core";
import { type Broker, connectBroker } from "../../src/pool/connection.ts";
import type { NatsOptions } from "../../src/pool/nats_options.ts";
import { openWire } from "../../src/wire/open.ts";
import type { Codec, Inbound, Outbound, Wire, WireOptions } from "../../src/wire/wire.ts";

export const BYTES: Codec<Uint8Array> = {
  maxBytes: 2 ** 24,
  encode: (bytes) => bytes,
  decode: (bytes) => bytes.slice(),
};

export class Member implements AsyncDisposable {
  private constructor(readonly broker: Broker, readonly wire: Wire) {}

  /** @param how `nats` takes no direct connections; `sealed` encrypts them whether or not the broker does. */
  static async join(nats: NatsOptions | string, how: "tcp" | "sealed" | "nats" = "tcp"): Promise<Member> {
    const broker = await connectBroker(typeof nats === "string" ? { url: nats } : nats, "stage");
    const direct: WireOptions["direct"] = how === "nats" ? null : { port: 0, hosts: ["127.0.0.1"] };
    const secure = broker.secure || how === "sealed";
    return new Member(broker, await openWire(broker.nats, { subject: inboxOf, direct, secure }));
  }

  get nats(): NatsConnection {
    return this.broker.nats;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.wire[Symbol.asyncDispose]();
    await this.broker[Symbol.asyncDispose]();
  }
}

const inboxOf = (inbox: string): string => `ringlet.test.inbox.${inbox}`;

/** A hop from one to the other. */
export async function hop(
  from: Member,
  to: Member,
): Promise<{ readonly inbound: Inbound<Uint8Array>; readonly outbound: Outbound<Uint8Array> }> {
  const inbound = await to.wire.receive(BYTES);
  return { inbound, outbound: await from.wire.connect(inbound.offer, BYTES) };
}

/** Comes true when a link's iteration has ended, with what came over it. */
export async function ended<Message>(link: AsyncIterable<Message>): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of link) messages.push(message);
  return messages;
}

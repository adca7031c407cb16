/** Opens a member's wire: one listener for connections, a subject for each inbox, and links over either. */
import { randomBytes } from "node:crypto";
import type { NatsConnection } from "@nats-io/nats-core";
import { Inbox } from "../pipeline/inbox.ts";
import type { Link } from "../pipeline/link.ts";
import { isLoopback, ownAddresses } from "./addresses.ts";
import { NatsPeer, receiverWay, senderWay } from "./nats_peer.ts";
import { isOffer, MOST_HOSTS } from "./offer.ts";
import type { Peer, PeerEvents } from "./peer.ts";
import { Opener, Sealer } from "./seal.ts";
import { newToken, Secrets, type Side } from "./secrets.ts";
import { dial, TcpListener } from "./tcp.ts";
import { type Sealing, TcpPeer } from "./tcp_peer.ts";
import type { Codec, Inbound, Offer, Outbound, Wire, WireOptions } from "./wire.ts";

/** So long a sender waits for an answer by way of the broker, and so often it asks. */
const ANSWER_MILLIS = 2000;
const ASK_MILLIS = 200;
/** So long what is queued may still go out at the end. */
const LAST_MILLIS = 250;

/**
 * @param nats Outlives the wire.
 * @param options.secure Whether the connection to the broker is encrypted: then those between members are too.
 * @throws {Error} in one sentence if it cannot listen
 */
export function openWire(nats: NatsConnection, options: WireOptions & { readonly secure: boolean }): Promise<Wire> {
  try {
    return Promise.resolve(new OpenWire(nats, options));
  } catch (error) {
    return Promise.reject(error);
  }
}

class OpenWire implements Wire {
  readonly #nats: NatsConnection;
  readonly #options: WireOptions & { readonly secure: boolean };
  readonly #listener: TcpListener | null;
  /** All that have begun and not ended. */
  readonly #peers = new Set<Peer>();
  #malformed = 0;
  #closed = false;

  constructor(nats: NatsConnection, options: WireOptions & { readonly secure: boolean }) {
    this.#nats = nats;
    this.#options = options;
    const { direct } = options;
    const hostname = direct && direct.hosts.length > 0 && direct.hosts.every(isLoopback) ? direct.hosts[0]! : null;
    this.#listener = direct && new TcpListener(hostname, direct.port, () => this.#malformed++);
    this.#watchBroker();
  }

  get malformed(): number {
    return this.#malformed;
  }

  receive<Message>(codec: Codec<Message>): Promise<Inbound<Message>> {
    const token = newToken();
    const secrets = new Secrets(token);
    const subject = this.#options.subject(randomBytes(16).toString("hex"));
    const inbox = new Inbox<Message>();
    const events = this.#events(inbox, (frame) => codec.decode(frame), (ended) => ended === peer);
    const byBroker = new NatsPeer(this.#nats, receiverWay(subject, secrets), events, codec.maxBytes);
    let peer: Peer = this.#add(byBroker);
    let closed = false;
    const forget = this.#listener?.expect(secrets, (connection) => {
      const sealing = this.#options.secure ? sealingOf(secrets.receiver, secrets.sender) : null;
      peer = this.#add(new TcpPeer(connection, events, codec.maxBytes, sealing));
      byBroker[Symbol.dispose]();
      if (closed) peer.close(); // while it introduced itself
    });
    byBroker.met.then((met) => met && forget?.());
    const close = () => {
      closed = true;
      forget?.();
      peer.close();
    };
    return Promise.resolve({
      offer: { subject, token, tcp: this.#directOffer() },
      link: linkOf(inbox, () => {}, close),
    });
  }

  async connect<Message>(offer: Offer, codec: Codec<Message>): Promise<Outbound<Message>> {
    if (
      !isOffer(offer) ||
      offer.subject !== this.#options.subject(offer.subject.slice(offer.subject.lastIndexOf(".") + 1))
    ) {
      throw new RangeError(`Cannot connect to ${JSON.stringify(offer?.subject)}: it is no inbox of this pool`);
    }
    const secrets = new Secrets(offer.token);
    const inbox = new Inbox<never>();
    const events = this.#events(inbox, () => {
      throw new TypeError("A receiver sends no messages");
    });
    const peer = await this.#dial(offer, secrets, events) ?? await this.#ask(offer, secrets, events);
    return {
      transport: peer.transport,
      get roundTripMillis() {
        return peer.roundTripMillis;
      },
      link: linkOf(inbox, (message: Message) => peer.send(codec.encode(message)), () => peer.close()),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const peer of this.#peers) peer.close();
    for (let i = 0; i < 10 && this.#peers.size > 0; i++) await pause(LAST_MILLIS / 10);
    for (const peer of this.#peers) peer[Symbol.dispose]();
    await this.#listener?.[Symbol.asyncDispose]();
  }

  #add<P extends Peer>(peer: P): P {
    this.#peers.add(peer);
    if (this.#closed) queueMicrotask(() => peer[Symbol.dispose]());
    return peer;
  }

  #events<In>(inbox: Inbox<In>, decode: (frame: Uint8Array) => In, ends = (_ended: Peer) => true): PeerEvents {
    const malformed = () => void this.#malformed++;
    const frame = (frame: Uint8Array, peer: Peer) => {
      try {
        inbox.push(decode(frame));
      } catch { // whatever is the matter with it: going on would be going on without it
        malformed();
        inbox.end();
        peer.close();
      }
    };
    const ended = (peer: Peer) => {
      this.#peers.delete(peer);
      if (ends(peer)) inbox.end();
    };
    return { frame, ended, malformed };
  }

  #directOffer(): Offer["tcp"] {
    if (!this.#listener) return null;
    const { hosts } = this.#options.direct!;
    return {
      hosts: (hosts.length > 0 ? hosts : ownAddresses()).slice(0, MOST_HOSTS),
      port: this.#listener.port,
      sealed: this.#options.secure,
    };
  }

  async #dial({ tcp }: Offer, secrets: Secrets, events: PeerEvents): Promise<Peer | null> {
    // Where the broker asks for encryption nothing goes in the clear.
    if (!tcp || !this.#options.direct || (this.#options.secure && !tcp.sealed)) return null;
    const connection = await dial(tcp.hosts, tcp.port, secrets);
    if (!connection) return null;
    return this.#add(
      new TcpPeer(connection, events, 0, tcp.sealed ? sealingOf(secrets.sender, secrets.receiver) : null),
    );
  }

  async #ask({ subject }: Offer, secrets: Secrets, events: PeerEvents): Promise<Peer> {
    const peer = this.#add(new NatsPeer(this.#nats, senderWay(subject, secrets), events, 0));
    for (let waited = 0; waited < ANSWER_MILLIS; waited += ASK_MILLIS) {
      peer.ping();
      const met = await Promise.race([peer.met, pause(ASK_MILLIS)]);
      if (met) return peer;
      if (met === false) break;
    }
    peer[Symbol.dispose]();
    throw new Error(`Cannot reach ${subject}: neither its addresses nor the broker lead to it`);
  }

  /** Parts may be lost with the connection to the broker, and nobody would know which. */
  async #watchBroker(): Promise<void> {
    for await (const { type } of this.#nats.status()) {
      if (type !== "disconnect" && type !== "close") continue;
      for (const peer of this.#peers) if (peer instanceof NatsPeer && peer.isMet) peer[Symbol.dispose]();
    }
  }
}

function linkOf<In, Out>(inbox: Inbox<In>, send: (message: Out) => void, close: () => void): Link<In, Out> {
  return {
    send,
    [Symbol.asyncIterator]: () => inbox[Symbol.asyncIterator](),
    [Symbol.dispose]() {
      inbox.clear();
      close();
    },
  };
}

const sealingOf = (own: Side, other: Side): Sealing => ({ out: new Sealer(own.key), in: new Opener(other.key) });

const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis));

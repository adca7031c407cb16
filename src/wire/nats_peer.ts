/** Frames by way of the broker, cut into parts that it takes. */
import type { Msg, NatsConnection, Subscription } from "@nats-io/nats-core";
import { KIND, type Kind, type Peer, type PeerEvents } from "./peer.ts";
import { Pulse } from "./pulse.ts";
import { isSame, type Secrets } from "./secrets.ts";

/**
 * Parts are not sealed: the broker's encryption and permissions are their secrecy, as it has passed on the token too. The tag keeps out who
 * may send to inboxes and has heard nothing of this one.
 *
 * The side's tag, u8 kind, u32 number of the message, u32 offset of the part in it, u32 length of the whole.
 */
const TAG_BYTES = 16;
const HEADER_BYTES = TAG_BYTES + 13;

/** Where parts go and come from. The sender hears what its receiver says below the inbox's subject. */
export interface Way {
  readonly outSubject: string;
  readonly inSubject: string;
  readonly outTag: Uint8Array;
  readonly inTag: Uint8Array;
}

const backOf = (subject: string): string => `${subject}.back`;

export const senderWay = (subject: string, { sender, receiver }: Secrets): Way => ({
  outSubject: subject,
  inSubject: backOf(subject),
  outTag: sender.tag,
  inTag: receiver.tag,
});

export const receiverWay = (subject: string, { sender, receiver }: Secrets): Way => ({
  outSubject: backOf(subject),
  inSubject: subject,
  outTag: receiver.tag,
  inTag: sender.tag,
});

/** A message of which parts are still to come. */
interface Begun {
  readonly number: number;
  readonly bytes: Uint8Array;
  length: number;
}

/** Publishing never waits: what the broker does not take as fast lies in the connection's own queue, and few steps are under way by their credits. */
export class NatsPeer implements Peer {
  readonly transport = "nats";
  readonly #nats: NatsConnection;
  readonly #way: Way;
  readonly #events: PeerEvents;
  readonly #maxBytes: number;
  readonly #subscription: Subscription;
  readonly #met = Promise.withResolvers<boolean>();
  #pulse: Pulse | null = null;
  #sent = 0;
  #received = 0;
  #begun: Begun | null = null;
  #ended = false;

  /**
   * Listens; the other side is there once `met` has come true. It ends with the connection to the broker, as parts may be lost then.
   * @param maxBytes Of a frame that comes in; 0 takes pings only.
   */
  constructor(nats: NatsConnection, way: Way, events: PeerEvents, maxBytes: number) {
    this.#nats = nats;
    this.#way = way;
    this.#events = events;
    this.#maxBytes = maxBytes;
    this.#subscription = nats.subscribe(way.inSubject, {
      callback: (error, message) => error ? this.#end() : this.#take(message),
    });
  }

  /** Someone who has the token has said something; false if it ended before. */
  get met(): Promise<boolean> {
    return this.#met.promise;
  }

  get isMet(): boolean {
    return this.#pulse !== null;
  }

  get roundTripMillis(): number | null {
    return this.#pulse?.roundTripMillis ?? null;
  }

  send(frame: Uint8Array): void {
    const { info } = this.#nats;
    if (!info) return this.#end(); // the connection is lost
    const number = this.#sent++;
    const most = info.max_payload - HEADER_BYTES;
    let offset = 0;
    do {
      const part = frame.subarray(offset, offset + most);
      this.#publish(KIND.message, number, offset, frame.length, part);
      offset += part.length;
    } while (offset < frame.length);
  }

  /** Asks whether someone is there, who then answers. */
  ping(): void {
    this.#publish(KIND.ping, 0, 0, 0, EMPTY);
  }

  close(): void {
    this.#publish(KIND.end, 0, 0, 0, EMPTY);
    this.#end();
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pulse?.stop();
    this.#begun = null;
    this.#met.resolve(false);
    this.#subscription.unsubscribe();
    this.#events.ended(this);
  }

  /** The reply is where the broker says so if nobody takes in what is sent. */
  #publish(kind: Kind, number: number, offset: number, length: number, part: Uint8Array): void {
    if (this.#ended) return;
    const bytes = new Uint8Array(HEADER_BYTES + part.length);
    bytes.set(this.#way.outTag);
    bytes[TAG_BYTES] = kind;
    const view = new DataView(bytes.buffer, TAG_BYTES + 1);
    view.setUint32(0, number);
    view.setUint32(4, offset);
    view.setUint32(8, length);
    bytes.set(part, HEADER_BYTES);
    try {
      this.#nats.publish(this.#way.outSubject, bytes, { reply: this.#way.inSubject });
    } catch {
      this.#end(); // the connection is closed
    }
  }

  #take({ data, headers }: Msg): void {
    if (this.#ended) return;
    if (data.length === 0 && headers?.code === 503) {
      if (this.#pulse) this.#end(); // the other side's process is gone
      return;
    }
    if (data.length < HEADER_BYTES || !isSame(data.subarray(0, TAG_BYTES), this.#way.inTag)) {
      return this.#events.malformed();
    }
    const kind = data[TAG_BYTES];
    if (kind === KIND.end) return this.#end();
    this.#meet();
    this.#pulse?.heard();
    if (kind === KIND.message) this.#takePart(data);
    else if (kind === KIND.ping) this.#publish(KIND.pong, 0, 0, 0, EMPTY);
    else if (kind === KIND.pong) this.#pulse?.answered();
    else this.#refuse();
  }

  #meet(): void {
    if (this.#pulse) return;
    this.#pulse = new Pulse(() => this.ping(), () => this.close());
    this.#met.resolve(true);
  }

  /** Parts come in order or are lost, and a link that has lost one is none. */
  #takePart(data: Uint8Array): void {
    const view = new DataView(data.buffer, data.byteOffset + TAG_BYTES + 1);
    const [number, offset, length] = [view.getUint32(0), view.getUint32(4), view.getUint32(8)];
    const part = data.subarray(HEADER_BYTES);
    if (length > this.#maxBytes || offset + part.length > length) return this.#refuse();
    if (number !== this.#received || offset !== (this.#begun?.length ?? 0)) return this.close();
    if (offset === 0 && part.length === length) return this.#complete(part);
    this.#begun ??= { number, bytes: new Uint8Array(length), length: 0 };
    if (this.#begun.bytes.length !== length || part.length === 0) return this.#refuse();
    this.#begun.bytes.set(part, offset);
    this.#begun.length += part.length;
    if (this.#begun.length === length) this.#complete(this.#begun.bytes);
  }

  #complete(frame: Uint8Array): void {
    this.#received++;
    this.#begun = null;
    this.#events.frame(frame, this);
  }

  #refuse(): void {
    this.#events.malformed();
    this.close();
  }
}

const EMPTY = new Uint8Array(0);

/** How members of a pool reach each other: inboxes, which one sender each may connect to, directly or by way of the broker. */
import type { Link } from "../pipeline/link.ts";

/** How frames become messages and the other way round. */
export interface Codec<Message> {
  /** A longer frame is refused before it is read: it can be no such message. */
  readonly maxBytes: number;
  /** Bytes that nobody changes afterwards. */
  encode(message: Message): Uint8Array;
  /**
   * What it gives shares no memory with the frame, which is used again.
   * @throws {FrameError} for bytes that are no such message, or one that does not fit the other end.
   */
  decode(frame: Uint8Array): Message;
}

/** One end of a hop. */
export interface Hop {
  readonly transport: "tcp" | "nats";
  /** Of a small frame there and back, measured every second; null before that. */
  readonly roundTripMillis: number | null;
}

/** What a sender needs to reach an inbox; goes to it over NATS. */
export interface Offer {
  readonly subject: string;
  /** For one sender, once: 32 bytes in hex. */
  readonly token: string;
  /** Null if only the broker leads there. */
  readonly tcp: { readonly hosts: readonly string[]; readonly port: number; readonly sealed: boolean } | null;
}

/**
 * Where one sender's messages come in. The iteration waits for the sender for as long as it takes, and ends when it is gone, silent for 3 s
 * or sends what is no message, or the broker between them was lost; then messages may be missing behind the last, never between two.
 */
export interface Inbound<Message> {
  readonly offer: Offer;
  readonly link: Link<Message, never>;
}

/**
 * The way to an inbox. What is sent before the link is disposed still arrives. The iteration yields nothing, and ends as soon as the other
 * side is gone or was silent for 3 s; what is sent then is dropped.
 */
export interface Outbound<Message> extends Hop {
  readonly link: Link<never, Message>;
}

/** A member's connections to others. Disposing ends them all. */
export interface Wire extends AsyncDisposable {
  /** Frames and connections that were refused so far. */
  readonly malformed: number;
  receive<Message>(codec: Codec<Message>): Promise<Inbound<Message>>;
  /** @throws {Error} in one sentence if the other side answers neither directly nor through the broker. */
  connect<Message>(offer: Offer, codec: Codec<Message>): Promise<Outbound<Message>>;
}

export interface WireOptions {
  /** Subject of an inbox by its name; what lies below it is used too. */
  readonly subject: (inbox: string) => string;
  /**
   * Where it listens for others, and under which addresses they hear of it: all of the machine's own if there are none. Port 0 takes a free
   * one. Null neither listens nor dials: everything goes by way of the broker.
   */
  readonly direct: { readonly port: number; readonly hosts: readonly string[] } | null;
}

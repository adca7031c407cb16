/** How members of a pool reach each other: inboxes, which one sender each may connect to, directly or by way of the broker. */
import type { Link } from "../pipeline/link.ts";

/** How frames become messages and the other way round. */
export interface Codec<Message> {
  /** A longer frame is refused before it is read: it can be no such message. */
  readonly maxBytes: number;
  encode(message: Message): Uint8Array;
  /**
   * What it gives shares no memory with the frame.
   * @throws {FrameError} for bytes that are no such message, or one that does not fit the other end.
   */
  decode(frame: Uint8Array): Message;
}

/** One end of a hop. Its sender's Link drops what is sent once it has ended; its receiver's iteration ends when the other side is gone. */
export interface Hop {
  readonly transport: "tcp" | "nats";
  /** Of a small frame there and back, measured every second; null before that. */
  readonly roundTripMillis: number | null;
}

/** Where one sender's messages come in. */
export interface Inbound<Message> {
  /** What the sender needs; goes to it over NATS. */
  readonly offer: {
    readonly subject: string;
    readonly token: string;
    readonly tcp: { readonly hosts: readonly string[]; readonly port: number } | null;
  };
  readonly link: Link<Message, never>;
}

export interface Outbound<Message> extends Hop {
  readonly link: Link<never, Message>;
}

/** A member's connections to others. Disposing ends them all. */
export interface Wire extends AsyncDisposable {
  /** Frames and connections that were refused so far. */
  readonly malformed: number;
  receive<Message>(codec: Codec<Message>): Promise<Inbound<Message>>;
  /** @throws {Error} in one sentence if the other side answers neither directly nor through the broker. */
  connect<Message>(offer: Inbound<Message>["offer"], codec: Codec<Message>): Promise<Outbound<Message>>;
}

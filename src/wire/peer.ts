/** One end of a hop, over either transport: carries frames one way, and pings both ways. */

export interface Peer extends Disposable {
  readonly transport: "tcp" | "nats";
  /** Of the last ping; null before its answer. */
  readonly roundTripMillis: number | null;
  /** In order; dropped once the peer has ended. */
  send(frame: Uint8Array): void;
  /** Lets go of the other side; what was sent before still goes there. Disposing ends it at once. */
  close(): void;
}

/** What its owner hears of a peer. */
export interface PeerEvents {
  /** The frame's memory is used again as soon as this returns. */
  frame(frame: Uint8Array, peer: Peer): void;
  /** Once; no frames after it. */
  ended(peer: Peer): void;
  /** Something was refused. */
  malformed(): void;
}

/** What a frame or a part is. */
export const KIND = { message: 0, ping: 1, pong: 2, end: 3 } as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** Of a sender whose receiver takes nothing: steps under way are few by the credits of their pipeline, so this is never reached in order. */
export const MOST_QUEUED_BYTES = 2 ** 29;

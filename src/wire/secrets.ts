/** What the two ends of a hop derive from its token: proofs that they have it, tags of parts, and keys. */
import { hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";

const TOKEN_BYTES = 32;

export const newToken = (): string => randomBytes(TOKEN_BYTES).toString("hex");

/**
 * The token itself never travels beside what it protects: who hears a proof or a tag, on a network or on a subject, can neither derive
 * the keys from it nor reach the inbox in another way. Each direction has its own, so that nothing can be sent back to where it came from.
 */
export class Secrets {
  /** The sender's first 32 bytes on a connection, and the receiver's. */
  readonly hello: Uint8Array;
  readonly welcome: Uint8Array;
  readonly sender: Side;
  readonly receiver: Side;

  /** @throws RangeError if it is no token. */
  constructor(token: string) {
    if (!/^[0-9a-f]{64}$/.test(token)) throw new RangeError("Cannot use a token that is not 32 bytes in hex");
    const bytes = Uint8Array.from(token.match(/../g)!, (pair) => parseInt(pair, 16));
    const derive = (purpose: string, length: number) =>
      new Uint8Array(hkdfSync("sha256", bytes, new Uint8Array(0), `ringlet ${purpose}`, length));
    this.hello = derive("hello", 32);
    this.welcome = derive("welcome", 32);
    const side = (name: string): Side => ({ tag: derive(`${name} tag`, 16), key: derive(`${name} key`, 32) });
    this.sender = side("sender");
    this.receiver = side("receiver");
  }
}

/** Of what one side sends. */
export interface Side {
  /** 16 bytes, before every part that goes through the broker. */
  readonly tag: Uint8Array;
  /** 32 bytes, of sealed frames on a connection of our own. */
  readonly key: Uint8Array;
}

/** In a time that does not depend on where they differ. */
export const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

/** Frames over a TCP connection whose two ends have shown each other that they have its token. */
import { KIND, type Kind, MOST_QUEUED_BYTES, type Peer, type PeerEvents } from "./peer.ts";
import { Pulse, SILENCE_MILLIS } from "./pulse.ts";
import { type Opener, SEAL_BYTES, type Sealer } from "./seal.ts";

/** u32 length of the body, u8 kind. Sealed frames have their proof between header and body. */
const HEADER_BYTES = 5;
/** Shorter frames are copied behind their header, to be one write. */
const ONE_WRITE_BYTES = 2 ** 17;
const READ_BYTES = 2 ** 16;

export interface Sealing {
  readonly out: Sealer;
  readonly in: Opener;
}

export class TcpPeer implements Peer {
  readonly transport = "tcp";
  readonly #connection: Deno.TcpConn;
  readonly #events: PeerEvents;
  readonly #sealing: Sealing | null;
  readonly #maxBytes: number;
  readonly #pulse: Pulse;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #writing = false;
  #closing = false;
  #ended = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param maxBytes Of a frame that comes in; 0 takes pings only. */
  constructor(connection: Deno.TcpConn, events: PeerEvents, maxBytes: number, sealing: Sealing | null) {
    this.#connection = connection;
    this.#events = events;
    this.#sealing = sealing;
    this.#maxBytes = maxBytes;
    this.#pulse = new Pulse(() => this.#send(KIND.ping, EMPTY), () => this.#end());
    this.#read().catch(() => this.#end());
  }

  get roundTripMillis(): number | null {
    return this.#pulse.roundTripMillis;
  }

  send(frame: Uint8Array): void {
    this.#send(KIND.message, frame);
  }

  /** The connection ends once the other side has read what is queued and closed, or after a while. */
  close(): void {
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    this.#pulse.stop();
    this.#timer = setTimeout(() => this.#end(), SILENCE_MILLIS);
    if (!this.#writing) this.#closeWrite();
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  /** Closing both ways while a ping lies here unread would throw away what the other side has not yet got. */
  #closeWrite(): void {
    this.#connection.closeWrite().catch(() => this.#end());
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pulse.stop();
    clearTimeout(this.#timer);
    this.#queue.length = 0;
    try {
      this.#connection.close();
    } catch { /* it has been */ }
    this.#events.ended(this);
  }

  #send(kind: Kind, frame: Uint8Array): void {
    if (this.#closing || this.#ended) return;
    for (const bytes of this.#pack(kind, frame)) {
      this.#queue.push(bytes);
      this.#queuedBytes += bytes.length;
    }
    if (this.#queuedBytes > MOST_QUEUED_BYTES) return this.#end();
    if (!this.#writing) this.#write().catch(() => this.#end());
  }

  #pack(kind: Kind, frame: Uint8Array): readonly Uint8Array[] {
    const proofBytes = this.#sealing ? SEAL_BYTES : 0;
    const alone = frame.length > ONE_WRITE_BYTES;
    const head = new Uint8Array(HEADER_BYTES + proofBytes + (alone ? 0 : frame.length));
    new DataView(head.buffer).setUint32(0, frame.length);
    head[4] = kind;
    let body = frame;
    if (this.#sealing) {
      const sealed = this.#sealing.out.seal(head.subarray(0, HEADER_BYTES), frame);
      head.set(sealed.proof, HEADER_BYTES);
      body = sealed.body;
    }
    if (alone) return [head, body];
    head.set(body, HEADER_BYTES + proofBytes);
    return [head];
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (let bytes = this.#queue.shift(); bytes; bytes = this.#queue.shift()) {
      for (let written = 0; written < bytes.length;) {
        written += await this.#connection.write(written === 0 ? bytes : bytes.subarray(written));
      }
      this.#queuedBytes -= bytes.length;
    }
    this.#writing = false;
    if (this.#closing) this.#closeWrite();
  }

  async #read(): Promise<void> {
    let buffer = new Uint8Array(READ_BYTES);
    let start = 0;
    let end = 0;
    while (!this.#ended) {
      const wanted = this.#bytesOfFrame(buffer.subarray(start, end));
      if (wanted <= end - start) {
        this.#take(buffer.subarray(start, start + wanted));
        start += wanted;
        continue;
      }
      if (start === end) start = end = 0;
      if (start + wanted > buffer.length) {
        const roomier = wanted > buffer.length ? new Uint8Array(wanted) : buffer;
        roomier.set(buffer.subarray(start, end));
        [buffer, start, end] = [roomier, 0, end - start];
      }
      const count = await this.#connection.read(buffer.subarray(end));
      if (count === null) break;
      this.#pulse.heard();
      end += count;
    }
    this.#end();
  }

  /** Of the frame that `bytes` begin with, or of its header as long as that is not complete. */
  #bytesOfFrame(bytes: Uint8Array): number {
    if (bytes.length < HEADER_BYTES) return HEADER_BYTES;
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    if (length > (bytes[4] === KIND.message ? this.#maxBytes : 0)) this.#refuse();
    return HEADER_BYTES + (this.#sealing ? SEAL_BYTES : 0) + length;
  }

  #take(bytes: Uint8Array): void {
    const frame = this.#open(bytes);
    const kind = bytes[4];
    if (kind === KIND.message) {
      if (!this.#closing) this.#events.frame(frame, this);
    } else if (kind === KIND.ping) this.#send(KIND.pong, EMPTY);
    else if (kind === KIND.pong) this.#pulse.answered();
    else this.#refuse();
  }

  #open(bytes: Uint8Array): Uint8Array {
    if (!this.#sealing) return bytes.subarray(HEADER_BYTES);
    const begin = HEADER_BYTES + SEAL_BYTES;
    const header = bytes.subarray(0, HEADER_BYTES);
    return this.#sealing.in.open(header, bytes.subarray(HEADER_BYTES, begin), bytes.subarray(begin)) ?? this.#refuse();
  }

  #refuse(): never {
    this.#events.malformed();
    throw new Error("malformed"); // ends the reading, and the link with it
  }
}

const EMPTY = new Uint8Array(0);

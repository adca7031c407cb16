/** A byte stream to the broker: plain over Deno's sockets, which answer the soonest, encrypted over Node's, which alone send a client's certificate. */
import { createConnection, isIP, type Socket } from "node:net";
import { checkServerIdentity, connect as startTls, type TLSSocket } from "node:tls";
import { Inbox } from "../pipeline/inbox.ts";

export interface Channel {
  readonly isEncrypted: boolean;
  /** Memory of its own; null at the end. */
  read(): Promise<Uint8Array | null>;
  /** In order, without waiting; what fails is seen by who reads. */
  write(bytes: Uint8Array): void;
  close(): void;
}

/** PEM. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Reads go on in one block after the other, as who gets the bytes may keep them. */
const BLOCK_BYTES = 2 ** 18;
const LEAST_BYTES = 2 ** 14;

export class PlainChannel implements Channel {
  readonly isEncrypted = false;
  readonly #connection: Deno.TcpConn;
  #block = new Uint8Array(BLOCK_BYTES);
  #used = 0;
  readonly #queue: Uint8Array[] = [];
  #writing = false;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    connection.setNoDelay(true);
  }

  static async dial(hostname: string, port: number, signal: AbortSignal): Promise<PlainChannel> {
    return new PlainChannel(await Deno.connect({ hostname, port, signal }));
  }

  async read(): Promise<Uint8Array | null> {
    if (BLOCK_BYTES - this.#used < LEAST_BYTES) {
      this.#block = new Uint8Array(BLOCK_BYTES);
      this.#used = 0;
    }
    const count = await this.#connection.read(this.#block.subarray(this.#used));
    if (count === null) return null;
    this.#used += count;
    return this.#block.subarray(this.#used - count, this.#used);
  }

  write(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    if (!this.#writing) this.#flush().catch(() => this.close());
  }

  close(): void {
    try {
      this.#connection.close();
    } catch { /* it has been */ }
  }

  async #flush(): Promise<void> {
    this.#writing = true;
    for (let bytes = this.#queue.shift(); bytes; bytes = this.#queue.shift()) {
      for (let written = 0; written < bytes.length;) written += await this.#connection.write(bytes.subarray(written));
    }
    this.#writing = false;
  }
}

/** What comes before encryption begins can be read here too: the broker says in the clear that it wants it. */
export class TlsChannel implements Channel {
  readonly #inbox = new Inbox<Uint8Array>();
  #socket: Socket | TLSSocket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen(socket);
  }

  static dial(host: string, port: number, signal: AbortSignal): Promise<TlsChannel> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ host, port, noDelay: true });
      const abort = () => socket.destroy(signal.reason);
      signal.addEventListener("abort", abort);
      socket.once("error", reject);
      socket.once("connect", () => {
        signal.removeEventListener("abort", abort); // a signal given to the socket would end it even then
        resolve(new TlsChannel(socket));
      });
    });
  }

  get isEncrypted(): boolean {
    return "encrypted" in this.#socket;
  }

  /**
   * Rejects if the broker's certificate is not signed by whom it must be or not made out for `host`. That it does not like ours is only seen
   * by reading on.
   */
  encrypt(host: string, files: TlsFiles): Promise<void> {
    const plain = this.#socket;
    plain.removeAllListeners("data");
    plain.removeAllListeners("close");
    return new Promise((resolve, reject) => {
      const socket = startTls({
        socket: plain,
        servername: isIP(host) ? "" : host, // addresses are not named to servers
        rejectUnauthorized: true,
        // By itself it would compare with "localhost" where the broker is known by its address.
        checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
        ...files,
      }, () => {
        this.#socket = socket;
        this.#listen(socket);
        resolve();
      });
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection ended while encryption was agreed on")));
    });
  }

  async read(): Promise<Uint8Array | null> {
    const next = await this.#inbox.next();
    return next.done ? null : next.value;
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
    this.#inbox.end();
  }

  /** The handlers stay for good: an error that nobody hears, as a late refusal of our certificate, would end the process. */
  #listen(socket: Socket): void {
    // A Buffer is no other's Uint8Array: its slice() is no copy.
    socket.on(
      "data",
      ({ buffer, byteOffset, length }: Uint8Array) => this.#inbox.push(new Uint8Array(buffer, byteOffset, length)),
    );
    socket.on("error", (error: Error) => this.#inbox.end(error));
    socket.on("close", () => this.#inbox.end());
  }
}

/** Carries NATS's protocol for its client: dials, encrypts where either side wants it, and always says why it ended. */
import type { ConnectionOptions, Server } from "@nats-io/nats-core";
import type { Transport } from "@nats-io/nats-core/internal";
import project from "../../deno.json" with { type: "json" };
import { type Channel, PlainChannel, TlsChannel, type TlsFiles } from "./channel.ts";

/** Longest first line that is read, before the broker has shown that it is one. */
const MOST_INFO_BYTES = 2 ** 16;

/** Whoever answers there speaks another language, or not as it must. */
export class NotNatsError extends Error {}
export class NoTlsError extends Error {}
/** The broker ended an encrypted connection before it said anything: its alert, if it came through, is the cause. */
export class CertificateRefusedError extends Error {}

/** How one connection is made, among the client's options. */
export interface Dialing {
  readonly millis: number;
  /** Refuse a broker that does not encrypt. */
  readonly mustEncrypt: boolean;
  /** Read anew for every connection. */
  readonly files: () => TlsFiles;
  /** Hears why one failed or ended, where there was a reason. */
  readonly failed: (error: Error) => void;
}

export class BrokerTransport implements Transport {
  readonly lang = "ringlet";
  readonly version = project.version;
  closeError?: Error;
  readonly #closed = Promise.withResolvers<void | Error>();
  #dialing: Dialing | null = null;
  #channel: Channel | null = null;
  #info: Uint8Array | null = null;
  #isClosed = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async connect(server: Server & { readonly tlsName?: string }, options: ConnectionOptions): Promise<void> {
    const dialing = this.#dialing = (options as ConnectionOptions & { readonly dialing: Dialing }).dialing;
    try {
      await this.#dial(server.hostname, server.port, server.tlsName || server.hostname, dialing);
      if (this.#isClosed) throw new Error("closed");
    } catch (error) {
      this.#fail(error as Error);
      this.discard();
      throw error;
    }
  }

  /** @param name Whom the broker's certificate must be made out for. */
  async #dial(host: string, port: number, name: string, { millis, mustEncrypt, files }: Dialing): Promise<void> {
    const signal = AbortSignal.timeout(millis);
    const info = await this.#open(await (mustEncrypt ? TlsChannel : PlainChannel).dial(host, port, signal));
    if (!mustEncrypt && !info.tls_required) return;
    if (!info.tls_required && !info.tls_available) throw new NoTlsError();
    if (!(this.#channel instanceof TlsChannel)) {
      this.#channel!.close();
      await this.#open(await TlsChannel.dial(host, port, signal));
    }
    await (this.#channel as TlsChannel).encrypt(name, files());
  }

  /** What the broker sends; what it says first was read already. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    yield this.#info!;
    let answered = false;
    let problem: unknown;
    try {
      for (let bytes = await this.#channel!.read(); bytes; bytes = await this.#channel!.read()) {
        answered = true;
        yield bytes;
      }
    } catch (error) {
      problem = error;
    }
    if (this.#isClosed) return;
    if (!answered && this.isEncrypted()) problem = new CertificateRefusedError(undefined, { cause: problem });
    if (problem) this.#fail(problem as Error);
    if (answered) return this.#end();
    // The client waits for its first answer, however the connection ends: as when our certificate was refused.
    this.discard();
    yield new TextEncoder().encode("-ERR 'Authentication Timeout'\r\n");
  }

  isEncrypted(): boolean {
    return this.#channel?.isEncrypted ?? false;
  }

  send(frame: Uint8Array): void {
    if (!this.#isClosed) this.#channel?.write(frame);
  }

  /** The client ends it, and needs not hear of it. */
  close(): Promise<void> {
    this.discard();
    return Promise.resolve();
  }

  disconnect(): void {
    this.#end();
  }

  closed(): Promise<void | Error> {
    return this.#closed.promise;
  }

  discard(): void {
    this.#isClosed = true;
    this.#channel?.close();
  }

  #fail(error: Error): void {
    this.closeError = error;
    this.#dialing?.failed(error);
  }

  #end(): void {
    this.discard();
    // Not at once: a client that is just done with dialling takes that for the answer to this, and never dials again.
    setTimeout(() => this.#closed.resolve(this.closeError));
  }

  /** Reads what a broker says first, and keeps it for the client. */
  async #open(channel: Channel): Promise<{ readonly tls_required?: boolean; readonly tls_available?: boolean }> {
    this.#channel = channel;
    let info = new Uint8Array(0);
    while (info.at(-1) !== 0x0a) {
      const bytes = await channel.read();
      if (!bytes || info.length + bytes.length > MOST_INFO_BYTES) throw new NotNatsError();
      info = new Uint8Array([...info, ...bytes]);
    }
    this.#info = info;
    const [, json] = /^INFO (\{.*\})\s*$/.exec(new TextDecoder().decode(info)) ?? [];
    if (json === undefined) throw new NotNatsError();
    return JSON.parse(json);
  }
}

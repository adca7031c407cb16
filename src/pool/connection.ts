/** A member's connection to the broker: fails at first in one sentence, and once it was made is made again for as long as it takes. */
import { lookup } from "node:dns/promises";
import { hostname } from "node:os";
import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import { NatsConnectionImpl, setTransportFactory } from "@nats-io/nats-core/internal";
import { connectionProblem, isRefusal, NoJetStreamError } from "./connection_problem.ts";
import { authenticator, tlsFiles } from "./credentials.ts";
import type { NatsOptions } from "./nats_options.ts";
import { BrokerTransport, type Dialing } from "./transport.ts";

/** Who connects: brokers may allow each something else, and list it by that name. Answers to its requests come below `_INBOX.ROLE`. */
export type Role = "server" | "stage" | "watch" | "publish";

/** Short, as members count as lost after {@linkcode LOST_MILLIS}. */
const PING_MILLIS = 1000;
const RETRY_MILLIS = 250;
/** Until the other machine answers at all, and until the broker has let us in. */
const DIAL_MILLIS = 2000;
const ENTRY_MILLIS = 5000;
const JETSTREAM_MILLIS = 2000;

export interface Broker extends AsyncDisposable {
  readonly nats: NatsConnection;
  /** Whether the connection is encrypted. */
  readonly secure: boolean;
  /** Milliseconds as of performance.now(); null while there is no connection. */
  readonly upSince: number | null;
  /** Why there is no connection, in one sentence; null while there is one. */
  readonly trouble: string | null;
}

/**
 * At most one connection to brokers is being made in a thread by others' means, as the client knows one transport for all.
 * @throws {Error} in one sentence if the broker cannot be reached, does not let us in, or has no JetStream
 */
export async function connectBroker(options: NatsOptions, role: Role): Promise<Broker> {
  let problem: Error | null = null;
  const dialing: Dialing = {
    millis: DIAL_MILLIS,
    mustEncrypt: /(^|,)\s*tls:/.test(options.url) || options.caFile !== undefined || options.certFile !== undefined,
    files: () => tlsFiles(options),
    failed: (error) => problem = error,
  };
  setTransportFactory({ factory: () => new BrokerTransport(), dnsResolveFn: resolve });
  try {
    const nats = await NatsConnectionImpl.connect({ ...clientOptions(options, role), dialing } as object);
    await checkJetStream(nats);
    const secure = nats.info!.tls_required === true || dialing.mustEncrypt;
    return new OpenBroker(nats, secure, dialing.failed, () => connectionProblem(options, problem).message);
  } catch (error) {
    throw connectionProblem(options, problem ?? error as Error);
  }
}

function clientOptions(options: NatsOptions, role: Role): ConnectionOptions {
  return {
    servers: options.url.split(",").map((url) => new URL(url).host),
    name: `ringlet ${role} on ${hostname()}`,
    inboxPrefix: `_INBOX.${role}`,
    authenticator: authenticator(options),
    timeout: ENTRY_MILLIS,
    pingInterval: PING_MILLIS,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RETRY_MILLIS,
    reconnectJitter: RETRY_MILLIS,
    reconnectJitterTLS: RETRY_MILLIS,
    // Credentials may be good again later: their files are read anew.
    ignoreAuthErrorAbort: true,
  };
}

/** Who may not ask whether there is JetStream finds out by using it. */
async function checkJetStream(nats: NatsConnection): Promise<void> {
  const answer = await nats.request("$JS.API.INFO", "", { timeout: JETSTREAM_MILLIS }).catch((error) => error);
  const isThere = answer instanceof Error ? !/no responders/i.test(answer.message) : !answer.json().error;
  if (isThere) return;
  await nats.close();
  throw new NoJetStreamError();
}

const resolve = async (host: string): Promise<string[]> =>
  (await lookup(host, { all: true })).map(({ address }) => address);

class OpenBroker implements Broker {
  readonly nats: NatsConnection;
  readonly secure: boolean;
  #upSince: number | null = performance.now();
  readonly #trouble: () => string;

  /** @param failed Hears why the broker ended the connection. */
  constructor(nats: NatsConnection, secure: boolean, failed: (error: Error) => void, trouble: () => string) {
    this.nats = nats;
    this.secure = secure;
    this.#trouble = trouble;
    this.#watch(failed);
  }

  get upSince(): number | null {
    return this.#upSince;
  }

  get trouble(): string | null {
    return this.#upSince === null ? this.#trouble() : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#upSince = null;
    await this.nats.close();
  }

  async #watch(failed: (error: Error) => void): Promise<void> {
    for await (const status of this.nats.status()) {
      if (status.type === "disconnect") this.#upSince = null;
      else if (status.type === "reconnect") this.#upSince = performance.now();
      else if (status.type === "error" && isRefusal(status.error)) failed(status.error);
    }
  }
}

/** How TCP connections between members begin: who dials says the proof of a token, who listens answers with its own. */
import { isSame, type Secrets } from "./secrets.ts";

const DIAL_MILLIS = 1000;
const INTRODUCTION_MILLIS = 2000;
/** Connections that have not said whose they are; further ones are closed. */
const MOST_STRANGERS = 64;

/** Someone who may connect, once. */
interface Guest {
  readonly secrets: Secrets;
  readonly arrived: (connection: Deno.TcpConn) => void;
}

/** The one port on which a member is reached. */
export class TcpListener implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #guests = new Set<Guest>();
  readonly #strangers = new Set<Deno.TcpConn>();
  readonly #refused: () => void;
  readonly #accepting: Promise<void>;
  #closed = false;

  /**
   * @param hostname Where it listens; null on all addresses.
   * @param port 0 takes a free one.
   * @param refused A connection was not of someone who is expected.
   * @throws {Error} in one sentence if it cannot listen there.
   */
  constructor(hostname: string | null, port: number, refused: () => void) {
    this.#listener = listen(hostname, port);
    this.#refused = refused;
    this.#accepting = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** @returns what takes it back. */
  expect(secrets: Secrets, arrived: (connection: Deno.TcpConn) => void): () => void {
    const guest = { secrets, arrived };
    this.#guests.add(guest);
    return () => void this.#guests.delete(guest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#listener.close();
    for (const connection of this.#strangers) close(connection);
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    while (!this.#closed) {
      try {
        const connection = await this.#listener.accept();
        if (this.#strangers.size < MOST_STRANGERS) this.#introduce(connection);
        else this.#refuse(connection);
      } catch {
        // As when files are used up: others close theirs. Without the wait this would turn in a circle.
        if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async #introduce(connection: Deno.TcpConn): Promise<void> {
    this.#strangers.add(connection);
    const hello = await readProof(connection, INTRODUCTION_MILLIS);
    this.#strangers.delete(connection);
    if (hello?.length === 0) return close(connection); // it only looked whether someone listens
    const guest = hello && this.#find(hello);
    if (!guest) return this.#refuse(connection);
    this.#guests.delete(guest);
    try {
      connection.setNoDelay(true);
      await writeAll(connection, guest.secrets.welcome);
    } catch { /* its reader will see that */ }
    guest.arrived(connection);
  }

  /** Compares with all, in a time that does not tell with which of them it agrees how far. */
  #find(hello: Uint8Array): Guest | null {
    let found: Guest | null = null;
    for (const guest of this.#guests) if (isSame(guest.secrets.hello, hello)) found = guest;
    return found;
  }

  #refuse(connection: Deno.TcpConn): void {
    if (!this.#closed) this.#refused();
    close(connection);
  }
}

/**
 * Dials all hosts at the same time, as those of networks that do not lead there never answer, and takes the first that proves to have the
 * token.
 * @returns null if none does within a second.
 */
export async function dial(hosts: readonly string[], port: number, secrets: Secrets): Promise<Deno.TcpConn | null> {
  const dialling = new AbortController();
  const timer = setTimeout(() => dialling.abort(), DIAL_MILLIS);
  const deadline = performance.now() + DIAL_MILLIS;
  let turn: Promise<Deno.TcpConn | null> = Promise.resolve(null);
  const tries = hosts.map(async (hostname) => {
    const connection = await Deno.connect({ hostname, port, signal: dialling.signal });
    // One after the other, as several may lead to the same member, and the token is good for one connection.
    turn = turn.then((taken) => {
      if (taken === null) return introduce(connection, secrets, deadline - performance.now());
      close(connection);
      return taken;
    });
    return await turn ?? Promise.reject(new Error("not the one"));
  });
  const connection = await Promise.any(tries).catch(() => null);
  clearTimeout(timer);
  dialling.abort();
  return connection;
}

async function introduce(connection: Deno.TcpConn, secrets: Secrets, millis: number): Promise<Deno.TcpConn | null> {
  try {
    connection.setNoDelay(true);
    await writeAll(connection, secrets.hello);
    const welcome = await readProof(connection, Math.max(0, millis));
    if (welcome && isSame(welcome, secrets.welcome)) return connection;
  } catch { /* it closed */ }
  close(connection);
  return null;
}

/** @returns 32 bytes; none if the connection ended before the first; null if it ended or time ran out before the last. */
async function readProof(connection: Deno.TcpConn, millis: number): Promise<Uint8Array | null> {
  const bytes = new Uint8Array(32);
  const timer = setTimeout(() => close(connection), millis);
  try {
    let count = 0;
    while (count < bytes.length) {
      const more = await connection.read(bytes.subarray(count));
      if (more === null) return count === 0 ? bytes.subarray(0, 0) : null;
      count += more;
    }
    return bytes;
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await connection.write(bytes.subarray(written));
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch { /* it has been */ }
}

/** On all addresses of both families, or of IPv4's where a machine has no other. */
function listen(hostname: string | null, port: number): Deno.TcpListener {
  const hostnames = hostname === null ? ["::", "0.0.0.0"] : [hostname];
  let problem: unknown;
  for (const hostname of hostnames) {
    try {
      return Deno.listen({ hostname, port });
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) {
        throw new Error(`Cannot listen for other members on port ${port}: it is taken`, { cause: error });
      }
      problem = error;
    }
  }
  throw new Error(`Cannot listen for other members on port ${port}: ${(problem as Error).message}`, { cause: problem });
}

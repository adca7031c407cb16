/** Who is in a pool: members put themselves into its bucket again and again, and whoever watches hears of those who come, change and go. */
import { type KV, Kvm } from "@nats-io/kv";
import { StorageType } from "@nats-io/jetstream";
import type { Msg, NatsConnection } from "@nats-io/nats-core";
import { Inbox } from "../pipeline/inbox.ts";
import { type Member, readMember } from "./entries.ts";
import { bucketOf, HEARTBEAT_MILLIS, LOST_MILLIS, type ServerEntry, type StageEntry } from "./protocol.ts";

export type { Member } from "./entries.ts";

/** Keys live for so long behind their last heartbeat: longer than watchers wait, whose clock it is that counts. */
const KEY_MILLIS = 2 * LOST_MILLIS;

/** Most that the broker's answer to a heartbeat, or the reading of the bucket, may take. */
const ANSWER_MILLIS = 2000;

/** Between two looks for those who are silent. */
const LOOK_MILLIS = 250;

/**
 * Resolves once a member's entry is in the bucket, which is made if it is not there. From then on the member puts itself there again every
 * {@linkcode HEARTBEAT_MILLIS}, and a broker that is away is waited for, until it is disposed of, which takes its key out.
 * @param entry what to put, with each heartbeat's number
 * @throws {Error} in one sentence if the broker has no JetStream or does not let us
 */
export async function announce(
  nats: NatsConnection,
  pool: string,
  key: string,
  entry: (beat: number) => StageEntry | ServerEntry,
): Promise<AsyncDisposable> {
  let beat = 0;
  let bucket = await openBucket(nats, pool);
  let putting = false;
  const put = () => bucket.put(key, JSON.stringify(entry(++beat)), { timeout: ANSWER_MILLIS });
  const beatAgain = async () => {
    if (putting || nats.isClosed()) return;
    putting = true;
    try {
      await put();
    } catch {
      // The broker is away, or has started without what it had in memory. The next heartbeat tries again.
      bucket = await openBucket(nats, pool).catch(() => bucket);
    } finally {
      putting = false;
    }
  };
  await put().catch((error) => {
    throw new Error(`Cannot join the pool ${pool} at ${nats.getServer()}: it does not take ${key} (${error.message})`);
  });
  const timer = setInterval(beatAgain, HEARTBEAT_MILLIS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      if (!nats.isClosed()) await within(ANSWER_MILLIS, bucket.delete(key)).catch(() => {});
    },
  };
}

export type MemberEvent =
  | { readonly type: "joined" | "changed"; readonly member: Member }
  /** `left`: it took its key out itself; else nothing was heard of it for {@linkcode LOST_MILLIS}. */
  | { readonly type: "lost"; readonly member: Member; readonly left: boolean };

interface Heard {
  readonly member: Member;
  /** By the clock that does not jump. */
  readonly at: number;
}

/**
 * The members of a pool as heard over one connection, and what changes, to be iterated once. It listens to what is put into the bucket, so that
 * a broker that has lost the bucket costs nothing but the time without heartbeats; and while the connection is away nobody is lost.
 */
export class Members implements AsyncIterable<MemberEvent>, AsyncDisposable {
  readonly #nats: NatsConnection;
  readonly #heard = new Map<string, Heard>();
  readonly #events = new Inbox<MemberEvent>();
  readonly #stop: () => void;
  #upSince = performance.now(); // Infinity while the connection is away
  #asking = false;

  private constructor(nats: NatsConnection, pool: string) {
    this.#nats = nats;
    const prefix = `$KV.${bucketOf(pool)}.`;
    const heard = nats.subscribe(`${prefix}>`, {
      callback: (error, message) => {
        if (error === null) this.#hear(message.subject.slice(prefix.length), message);
      },
    });
    const timer = setInterval(() => this.#lookForLost(), LOOK_MILLIS);
    this.#stop = () => {
      clearInterval(timer);
      if (!nats.isClosed()) heard.unsubscribe();
    };
    void this.#watchConnection();
  }

  /** Those who are there already are told first. */
  static async watch(nats: NatsConnection, pool: string): Promise<Members> {
    const members = new Members(nats, pool);
    await within(ANSWER_MILLIS, members.#readBucket(pool)).catch(() => {}); // their heartbeats tell, too
    return members;
  }

  /** Everybody who is there, by key. */
  get all(): Member[] {
    return [...this.#heard.values()].map(({ member }) => member);
  }

  /** Whether somebody is there under that key. */
  has(key: string): boolean {
    return this.#heard.has(key);
  }

  [Symbol.asyncIterator](): AsyncIterator<MemberEvent, undefined> {
    return this.#events[Symbol.asyncIterator]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stop();
    this.#events.end();
    return Promise.resolve();
  }

  async #readBucket(pool: string): Promise<void> {
    const bucket = await new Kvm(this.#nats).open(bucketOf(pool));
    for await (const { key, value, operation, created } of await bucket.history()) {
      const old = Date.now() - created.getTime() > LOST_MILLIS; // whoever lives is heard anyway
      if (operation === "PUT" && !old && !this.#heard.has(key)) this.#note(key, value);
    }
  }

  #hear(key: string, message: Msg): void {
    const taken = message.headers?.get("KV-Operation") ?? "";
    if (taken === "") this.#note(key, message.data);
    else this.#lose(key, true);
  }

  #note(key: string, value: Uint8Array): void {
    const member = readMember(key, value);
    if (member === null) return;
    const type = this.#heard.has(key) ? "changed" : "joined";
    this.#heard.set(key, { member, at: performance.now() });
    this.#events.push({ type, member });
  }

  #lose(key: string, left: boolean): void {
    const heard = this.#heard.get(key);
    if (!heard) return;
    this.#heard.delete(key);
    this.#events.push({ type: "lost", member: heard.member, left });
  }

  /**
   * Those of whom nothing was heard. The broker must answer first, and what others told it get a moment to come: it may be the broker that
   * was silent, or the connection.
   */
  async #lookForLost(): Promise<void> {
    if (this.#asking || this.#silent().length === 0) return;
    this.#asking = true;
    const asked = performance.now();
    try {
      await this.#nats.flush();
      if (performance.now() - asked > HEARTBEAT_MILLIS) this.#upSince = performance.now();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLIS));
      for (const key of this.#silent()) this.#lose(key, false);
    } catch {
      /* the connection is closed */
    } finally {
      this.#asking = false;
    }
  }

  #silent(): string[] {
    const before = performance.now() - LOST_MILLIS;
    if (this.#upSince > before) return [];
    return [...this.#heard].filter(([, { at }]) => at < before).map(([key]) => key);
  }

  async #watchConnection(): Promise<void> {
    for await (const { type } of this.#nats.status()) {
      if (type === "disconnect") this.#upSince = Infinity;
      if (type === "reconnect") this.#upSince = performance.now();
    }
  }
}

/** Opens the pool's bucket, which is made if it is not there: in memory, as everything in it is put again each second. */
async function openBucket(nats: NatsConnection, pool: string): Promise<KV> {
  try {
    const made = new Kvm(nats).create(bucketOf(pool), { ttl: KEY_MILLIS, history: 1, storage: StorageType.Memory });
    return await within(ANSWER_MILLIS, made);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `Cannot open the pool ${pool} at ${nats.getServer()}: ${why} (it needs a NATS server with JetStream)`,
    );
  }
}

async function within<T>(millis: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${millis / 1000} s`)), millis);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

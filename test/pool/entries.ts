/** What the members of a pool have written in its bucket, as a test sees it. */
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { bucketOf, type ServerEntry, type StageEntry } from "../../src/pool/protocol.ts";

export class PoolEntries implements AsyncDisposable {
  readonly #connection: NatsConnection;
  readonly #bucket: string;

  private constructor(connection: NatsConnection, bucket: string) {
    this.#connection = connection;
    this.#bucket = bucket;
  }

  static async connect(url: string, pool = "default"): Promise<PoolEntries> {
    const options = { servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 100, timeout: 1000 };
    return new PoolEntries(await connect({ ...options, pingInterval: 1000 }), bucketOf(pool));
  }

  /** All that are in the bucket, also of members that have died lately; nothing while there is no bucket, or no broker. */
  async read(): Promise<{ readonly stages: readonly StageEntry[]; readonly servers: readonly ServerEntry[] }> {
    const [stages, servers]: [StageEntry[], ServerEntry[]] = [[], []];
    try {
      const bucket = await new Kvm(this.#connection).open(this.#bucket);
      for await (const key of await bucket.keys()) {
        const entry = await bucket.get(key);
        if (entry?.operation !== "PUT") continue;
        if (key.startsWith("stage.")) stages.push(entry.json());
        else servers.push(entry.json());
      }
    } catch {
      return { stages: [], servers: [] };
    }
    return { stages, servers };
  }

  /** Ids of the stages that a server's routes go through. */
  async routed(): Promise<ReadonlySet<string>> {
    const { servers } = await this.read();
    return new Set(servers.flatMap(({ routes }) => routes.flatMap(({ stages }) => stages)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }
}

/** What the members of a pool have written in its bucket, as a test sees it. */
import { Kvm } from "@nats-io/kv";
import { type Broker, connectBroker } from "../../src/pool/connection.ts";
import { bucketOf, type ServerEntry, type StageEntry } from "../../src/pool/protocol.ts";

export class PoolEntries implements AsyncDisposable {
  readonly #broker: Broker;
  readonly #bucket: string;

  private constructor(broker: Broker, bucket: string) {
    this.#broker = broker;
    this.#bucket = bucket;
  }

  static async connect(url: string, pool = "default"): Promise<PoolEntries> {
    return new PoolEntries(await connectBroker({ url }, "watch"), bucketOf(pool));
  }

  /** All that are in the bucket, also of members that have died lately; nothing while there is no bucket, or no broker. */
  async read(): Promise<{ readonly stages: readonly StageEntry[]; readonly servers: readonly ServerEntry[] }> {
    const [stages, servers]: [StageEntry[], ServerEntry[]] = [[], []];
    try {
      const bucket = await new Kvm(this.#broker.nats).open(this.#bucket);
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
    await this.#broker[Symbol.asyncDispose]();
  }
}

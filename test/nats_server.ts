/** A real nats-server for tests, on a free port and with its files in a folder of its own. */
import { strict as assert } from "node:assert";

/** Why tests that need the server are left out; null if it is here. */
export const NO_NATS: string | null = findServer() === null
  ? "nats-server is not installed (apt-get install nats-server)"
  : null;

/** Those of Debian's package lie where a user's PATH may not lead. */
function findServer(): string | null {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  for (const folder of folders) {
    try {
      if (Deno.statSync(`${folder}/nats-server`).isFile) return `${folder}/nats-server`;
    } catch { /* not there */ }
  }
  return null;
}

export class NatsServer implements AsyncDisposable {
  readonly #folder: string;
  readonly #within: readonly string[];
  #process: Deno.ChildProcess;

  private constructor(
    readonly port: number,
    readonly host: string,
    folder: string,
    within: readonly string[],
    process: Deno.ChildProcess,
  ) {
    this.#folder = folder;
    this.#within = within;
    this.#process = process;
  }

  /**
   * @param more Further lines of its configuration; `$DIR` in it is a folder of its own.
   * @param place `within` is what its command begins with, where it runs on another host.
   */
  static async start(
    more = "",
    place: { readonly host?: string; readonly port?: number; readonly within?: readonly string[] } = {},
  ): Promise<NatsServer> {
    const { host = "127.0.0.1", port = freePort(), within = [] } = place;
    const folder = await Deno.makeTempDir({ prefix: "nats" });
    const config = `host: "${host}"\nport: ${port}\njetstream { store_dir: "${folder}/jetstream" }\n${more}\n`;
    await Deno.writeTextFile(`${folder}/nats.conf`, config.replaceAll("$DIR", folder));
    return new NatsServer(port, host, folder, within, await spawn(folder, within));
  }

  get url(): string {
    return `nats://${this.host}:${this.port}`;
  }

  /** Ends it, by default as one that crashes does; what JetStream has written stays. */
  async stop(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    try {
      this.#process.kill(signal);
    } catch { /* it has ended */ }
    await this.#process.status;
  }

  /** SIGSTOP freezes it, SIGCONT lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process.kill(signal);
  }

  /** Starts it again, where it was. */
  async restart(): Promise<void> {
    await this.stop();
    this.#process = await spawn(this.#folder, this.#within);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function spawn(folder: string, within: readonly string[]): Promise<Deno.ChildProcess> {
  const server = findServer();
  assert.ok(server, NO_NATS ?? "");
  const [program, ...args] = [...within, server, "-c", `${folder}/nats.conf`, "-l", `${folder}/log`];
  const process = new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  for (let i = 0; i < 200; i++) {
    const log = await Deno.readTextFile(`${folder}/log`).catch(() => "");
    if (log.includes("Server is ready")) {
      await Deno.writeTextFile(`${folder}/log`, "");
      return process;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  process.kill("SIGKILL");
  throw new Error(`nats-server does not start: ${await Deno.readTextFile(`${folder}/log`).catch(() => "no log")}`);
}

/** A test beside a broker of its own; left out where there is none. */
export function testOnBroker(name: string, run: (broker: NatsServer) => Promise<void>): void {
  Deno.test({
    name,
    ignore: NO_NATS !== null,
    // The client keeps timers of requests and pings until they fire.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using broker = await NatsServer.start();
      await run(broker);
    },
  });
}

/** A port that nobody listens on at the moment. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

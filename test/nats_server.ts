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
  #process: Deno.ChildProcess;

  private constructor(readonly port: number, readonly host: string, folder: string, process: Deno.ChildProcess) {
    this.#folder = folder;
    this.#process = process;
  }

  /** @param more Further lines of its configuration; `$DIR` in it is a folder of its own. */
  static async start(more = "", { host = "127.0.0.1", port = freePort() } = {}): Promise<NatsServer> {
    const folder = await Deno.makeTempDir({ prefix: "nats" });
    const config = `host: "${host}"\nport: ${port}\njetstream { store_dir: "${folder}/jetstream" }\n${more}\n`;
    await Deno.writeTextFile(`${folder}/nats.conf`, config.replaceAll("$DIR", folder));
    return new NatsServer(port, host, folder, await spawn(folder));
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

  /** Starts it again, where it was. */
  async restart(): Promise<void> {
    await this.stop();
    this.#process = await spawn(this.#folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function spawn(folder: string): Promise<Deno.ChildProcess> {
  const program = findServer();
  assert.ok(program, NO_NATS ?? "");
  const args = ["-c", `${folder}/nats.conf`, "-l", `${folder}/log`];
  const process = new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
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

/** A port that nobody listens on at the moment. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

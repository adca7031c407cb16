/** A nats-server with deploy/nats.conf as it is, and certificates as deploy/certificates.sh makes them. */
import { join } from "node:path";
import { connectBroker } from "../../src/pool/connection.ts";
import type { NatsOptions } from "../../src/pool/nats_options.ts";
import { freePort } from "../nats_server.ts";
import { DEPLOY, passes } from "./linters.ts";

export const ROLES = ["server", "stage", "watch", "publish"] as const;
export type Role = typeof ROLES[number];

/** Makes an authority and certificates in a folder. */
export const makeCertificates = (folder: string) => passes("/bin/sh", [join(DEPLOY, "certificates.sh"), folder]);

export class Broker implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;

  private constructor(readonly folder: string, readonly port: number, process: Deno.ChildProcess) {
    this.#process = process;
  }

  static async start(natsServer: string): Promise<Broker> {
    const folder = await Deno.makeTempDir({ prefix: "broker" });
    await makeCertificates(join(folder, "certificates"));
    await Deno.copyFile(join(DEPLOY, "nats.conf"), join(folder, "nats.conf"));
    await passes(natsServer, ["-t", "-c", "nats.conf"], folder);
    const port = freePort();
    const args = ["-c", "nats.conf", "-sd", "jetstream", "-a", "127.0.0.1", "-p", `${port}`, "-m", `${freePort()}`];
    const options = { cwd: folder, stdin: "null", stdout: "null", stderr: "null" } as const;
    const process = new Deno.Command(natsServer, { args: [...args, "-l", "log"], ...options }).spawn();
    const log = () => Deno.readTextFile(join(folder, "log")).catch(() => "");
    for (let i = 0; i < 200; i++) {
      if ((await log()).includes("Server is ready")) return new Broker(folder, port, process);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    process.kill("SIGKILL");
    throw new Error(`nats-server does not start: ${await log()}`);
  }

  /** What a member of this role says. @param folder Of certificates; the broker's own by default. */
  options(
    role: Role,
    folder: string = join(this.folder, "certificates"),
  ): Required<Pick<NatsOptions, "url" | "caFile" | "certFile" | "keyFile">> {
    const file = (name: string) => join(folder, name);
    const [caFile, certFile, keyFile] = [file("ca.crt"), file(`${role}.crt`), file(`${role}.key`)];
    return { url: `tls://127.0.0.1:${this.port}`, caFile, certFile, keyFile };
  }

  connect(role: Role) {
    return connectBroker(this.options(role), role);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** A pool of real processes: a nats-server, stages and a server, each on a host of its own. */
import { freePort, NatsServer } from "../nats_server.ts";
import { PoolEntries } from "./entries.ts";
import { type Host, Loopback, Namespaces, type Network, NO_HOSTS } from "./hosts.ts";
import { Service } from "./service.ts";

export interface PoolShape {
  /** Layers of each stage, from the first to the last, as `0-4`. */
  readonly ranges: readonly string[];
  /** Stages of each range; one if left out. */
  readonly replicas?: number;
  /** Of stages and the server. */
  readonly flags?: readonly string[];
  readonly serveFlags?: readonly string[];
}

/** Four stages of the embedded model. */
export const FOUR_RANGES: readonly string[] = ["0-2", "3-5", "6-7", "8-9"];

const WASM = ["--backend", "wasm", "--threads", "1"];

export interface TestPool extends AsyncDisposable {
  /** Whether its hosts can be cut off. */
  readonly cuttable: boolean;
  readonly brokerHost: Host;
  readonly broker: NatsServer;
  readonly entries: PoolEntries;
  readonly stages: readonly Service[];
  readonly server: Service;
  /** Of the server, as this process reaches it. */
  readonly url: string;
}

/** Starts all of it, each on a host of its own where there can be some, and waits until the server is ready. */
export async function startPool(shape: PoolShape): Promise<TestPool> {
  await using owned = new AsyncDisposableStack();
  const cuttable = NO_HOSTS === null;
  const network: Network = owned.use(cuttable ? await Namespaces.create() : new Loopback());
  const brokerHost = await network.addHost("broker");
  const broker = owned.use(await NatsServer.start("", { host: brokerHost.address, within: brokerHost.within }));
  const entries = owned.use(await PoolEntries.connect(broker.url));
  const join = ["--nats", broker.url, ...shape.flags ?? []];
  const stages: Service[] = [];
  for (const [name, layers] of stageHosts(shape)) {
    const args = ["stage", ...join, "--layers", layers, ...WASM];
    stages.push(owned.use(Service.start(await network.addHost(name), args)));
  }
  const host = await network.addHost("server");
  const port = freePort();
  const listen = ["--host", host.address, "--port", `${port}`, "--allow-anonymous"];
  const server = owned.use(Service.start(host, ["serve", ...join, ...listen, ...shape.serveFlags ?? []]));
  await server.until(/\nReady: /);
  const [url, rest] = [`http://${host.address}:${port}`, owned.move()];
  const pool = { cuttable, brokerHost, broker, entries, stages, server, url };
  return { ...pool, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

/** Waits until all stages are in routes, and only they; gives the milliseconds. */
export async function healed(pool: TestPool, millis = 60_000): Promise<number> {
  const begun = performance.now();
  while (performance.now() - begun < millis) {
    if ((await pool.entries.routed()).size === pool.stages.length) return performance.now() - begun;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const heard = [...pool.stages, pool.server].map(({ host, ends, said }) =>
    `${host.name} [${ends}]: ${said.slice(-600)}`
  );
  const { servers } = await pool.entries.read();
  throw new Error(`The pool is not whole after ${millis} ms: ${JSON.stringify(servers)}\n${heard.join("\n")}`);
}

/** Hosts of stages and their layers: s0a and s0b have the first range, s1a and s1b the next. */
function stageHosts({ ranges, replicas = 1 }: PoolShape): (readonly [string, string])[] {
  const replicate = (layers: string, stage: number) =>
    Array.from({ length: replicas }, (_, i) => [`s${stage}${"abcdefgh"[i]}`, layers] as const);
  return ranges.flatMap(replicate);
}

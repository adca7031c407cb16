/** Hosts for tests: network namespaces on a bridge, each with an address and a name of its own, or all of them this computer. */
import { strict as assert } from "node:assert";

/** A computer of a pool, or what stands for one. */
export interface Host {
  readonly name: string;
  /** Where the others, and this process, reach it. */
  readonly address: string;
  /** What a command begins with that runs there; the process keeps its id. */
  readonly within: readonly string[];
  /** Takes its cable out, or puts it in again: connections stay open, and nothing comes through. */
  plug(into: boolean): Promise<void>;
}

export interface Network extends AsyncDisposable {
  addHost(name: string): Promise<Host>;
}

/** Why hosts of their own cannot be had here, which needs root's rights over networks; null if they can. */
export const NO_HOSTS: string | null = await findReason();

/** Hosts 10.77.N.2, .3 and so on; this process is 10.77.N.1 and reaches them all. */
export class Namespaces implements Network {
  readonly #prefix: string;
  readonly #net: string;
  readonly #spaces: string[] = [];
  #next = 2;

  private constructor(prefix: string, net: string) {
    this.#prefix = prefix;
    this.#net = net;
  }

  static async create(): Promise<Namespaces> {
    assert.ok(NO_HOSTS === null, NO_HOSTS ?? "");
    await removeLeftOvers();
    const network = new Namespaces(`rl${Deno.pid}-${created++}`, await freeNet());
    try {
      await ip(`link add ${network.#bridge} type bridge`);
      await ip(`addr add ${network.#net}.1/24 dev ${network.#bridge}`);
      await ip(`link set ${network.#bridge} up`);
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  get #bridge(): string {
    return `${this.#prefix}b`;
  }

  async addHost(name: string): Promise<Host> {
    const number = this.#next++;
    const space = `${this.#prefix}-${name}`;
    const port = `${this.#prefix}p${number}`; // of the bridge
    const address = `${this.#net}.${number}`;
    await ip(`netns add ${space}`);
    this.#spaces.push(space);
    await ip(`link add ${port} type veth peer name eth0 netns ${space}`);
    await ip(`link set ${port} master ${this.#bridge} up`);
    await ip(`-n ${space} addr add ${address}/24 dev eth0`);
    await ip(`-n ${space} link set eth0 up`);
    await ip(`-n ${space} link set lo up`);
    const script = 'hostname "$0"; exec "$@"';
    const within = ["ip", "netns", "exec", space, "unshare", "--uts", "sh", "-c", script, name];
    return { name, address, within, plug: async (into) => void await ip(`link set ${port} ${into ? "up" : "down"}`) };
  }

  /** Ends what still runs on the hosts, too. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const space of this.#spaces.splice(0)) await remove(space);
    for (let number = 2; number < this.#next; number++) await ip(`link del ${this.#prefix}p${number}`).catch(() => {});
    await ip(`link del ${this.#bridge}`).catch(() => {});
  }
}

/** All hosts are this computer, whose cable stays where it is. */
export class Loopback implements Network {
  addHost(name: string): Promise<Host> {
    const plug = () => Promise.reject(new Error("Cannot cut this computer off from itself"));
    return Promise.resolve({ name, address: "127.0.0.1", within: [], plug });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Networks of this process so far. */
let created = 0;

/** The first three numbers of addresses that nothing here has. */
async function freeNet(): Promise<string> {
  const taken = await ip("-4 -o addr show");
  for (let i = 0; i < 256; i++) {
    const net = `10.77.${(Deno.pid + created + i) % 256}`;
    if (!taken.includes(`${net}.`)) return net;
  }
  throw new Error("All networks 10.77.* are taken: ip addr show");
}

/** Ends what runs on a host, and the host; its cable goes with it. */
async function remove(space: string): Promise<void> {
  const processes = await ip(`netns pids ${space}`).catch(() => "");
  for (const id of processes.split("\n").filter(Boolean)) kill(Number(id));
  await ip(`netns del ${space}`);
}

/** Hosts of a process that was killed, which could not do it. */
async function removeLeftOvers(): Promise<void> {
  const isGone = (id: string) => !exists(`/proc/${id}`);
  const mine = /^(rl(\d+)-\d+)\S*/gm;
  const spaces = [...(await ip("netns list")).matchAll(mine)].filter(([, , id]) => isGone(id!));
  for (const [space] of spaces) await remove(space);
  for (const bridge of new Set(spaces.map(([, prefix]) => `${prefix}b`))) {
    await ip(`link del ${bridge}`).catch(() => {});
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path) !== null;
  } catch {
    return false;
  }
}

/** Runs `ip` with these words, and gives what it prints. */
async function ip(words: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("ip", { args: words.split(" "), stdin: "null" }).output();
  if (!success) throw new Error(`ip ${words}: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}

async function findReason(): Promise<string | null> {
  const probe = `rl${Deno.pid}-probe`;
  try {
    await ip(`netns add ${probe}`);
    await ip(`link add rl${Deno.pid}q type veth peer name eth0 netns ${probe}`);
    await ip(`netns del ${probe}`); // and the link with it
    return null;
  } catch (error) {
    await ip(`netns del ${probe}`).catch(() => {});
    return `network namespaces cannot be made here (iproute2, and root with CAP_NET_ADMIN and CAP_SYS_ADMIN): ${
      (error as Error).message
    }`;
  }
}

function kill(id: number): void {
  try {
    Deno.kill(id, "SIGKILL");
  } catch { /* it has ended */ }
}

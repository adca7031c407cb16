/** Faults of a pool's hosts, drawn by chance from a seed: processes killed or frozen, cables out, the broker started anew. */
import { random } from "../../bench/abuse.ts";
import { healed, type TestPool } from "./pool.ts";
import type { Service } from "./service.ts";

export interface Fault {
  readonly kind: "kill" | "freeze" | "cut";
  /** Of a stage, `server` or `broker`. */
  readonly host: string;
  /** How long it is frozen or cut off; of a killed one its supervisor's time. */
  readonly millis: number;
  /** From when all streams went on behind the one before. */
  readonly afterMillis: number;
}

/** What a fault did. */
export interface Suffered extends Fault {
  /** By `performance.now()`. */
  readonly begun: number;
  /** From its begin until all stages were in routes again. */
  readonly healedMillis: number;
}

/** Longest that something is frozen or cut off: twice as long as a member may be silent. */
export const LONGEST_MILLIS = 7000;

/**
 * Every kind of fault on every host in turn, in an order by chance; then again. The server is not killed, with which its streams would end.
 */
export function planFaults(pool: TestPool, count: number, seed: number): readonly Fault[] {
  const draw = random(seed);
  const kinds = pool.cuttable ? ["kill", "freeze", "cut"] as const : ["kill", "freeze"] as const;
  const hosts = [...pool.stages.map(({ host }) => host.name), "broker", "server"];
  const all = kinds.flatMap((kind) => hosts.map((host) => ({ kind, host })))
    .filter(({ kind, host }) => kind !== "kill" || host !== "server");
  const faults: Fault[] = [];
  while (faults.length < count) {
    const next = all.map((one) => ({ one, place: draw() })).sort((a, b) => a.place - b.place).map(({ one }) => one);
    for (const one of next) {
      faults.push({ ...one, millis: 200 + draw() * (LONGEST_MILLIS - 200), afterMillis: draw() * 2000 });
    }
  }
  return faults.slice(0, count);
}

/** Waits its time, lets it happen, and waits until the pool is whole again. */
export async function suffer(pool: TestPool, fault: Fault): Promise<Suffered> {
  await rest(fault.afterMillis);
  const begun = performance.now();
  await happen(pool, fault);
  await healed(pool);
  return { ...fault, begun, healedMillis: performance.now() - begun };
}

/** Resolves once what was frozen goes on, what was cut off is back, and what was killed has been started anew. */
async function happen(pool: TestPool, { kind, host, millis }: Fault): Promise<void> {
  const service = [...pool.stages, pool.server].find((one) => one.host.name === host);
  if (kind === "kill") return await (service ? killed(service) : pool.broker.restart());
  const { plug } = service?.host ?? pool.brokerHost;
  const process = service ?? pool.broker;
  if (kind === "cut") await plug(false);
  else process.signal("SIGSTOP");
  await rest(millis);
  if (kind === "cut") await plug(true);
  else process.signal("SIGCONT");
}

/** By then the server has long noticed that the one before is gone. */
async function killed(service: Service): Promise<void> {
  const again = service.until(/ in pool /, "next");
  service.signal("SIGKILL");
  await again;
}

export function describe({ kind, host, millis }: Fault): string {
  return kind === "kill" ? `kill ${host}` : `${kind} ${host} for ${(millis / 1000).toFixed(1)} s`;
}

function rest(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

/** A pool at a glance: from the entries of its members, what each stage does, and what is missing. */
import type { BackendName } from "../pipeline/messages.ts";
import type { StageFigures } from "../pipeline/pool_status.ts";
import type { LayerRange } from "../pipeline/steps.ts";
import { missingLayers } from "./chains.ts";
import type { Member } from "./entries.ts";
import type { ServerEntry, StageEntry } from "./protocol.ts";

export interface Overview {
  readonly pool: string;
  /** Why the broker cannot be reached, in one sentence; what is told besides is then from before. */
  readonly trouble: string | null;
  readonly servers: readonly ServerView[];
  /** By their layers. */
  readonly stages: readonly StageView[];
  /** Of each model that somebody has or wants. */
  readonly models: readonly ModelView[];
  /** Members that cannot be understood, and why. */
  readonly unknown: readonly { readonly id: string; readonly reason: string }[];
}

export type ServerView = Omit<ServerEntry, "protocol" | "beat">;

export interface StageView extends StageFigures {
  readonly id: string;
  readonly host: string;
  readonly version: string;
  /** Of its model, as in {@linkcode ModelIdentity}. */
  readonly hash: string;
  readonly layers: LayerRange;
  readonly backend: BackendName;
  readonly device: string;
  /**
   * `serving`: it is on routes. `refused`: a server does not take it. `lost`: it fell silent a while ago, and what is told of it is from
   * before. Otherwise it is `idle`.
   */
  readonly state: "serving" | "idle" | "refused" | "lost";
  readonly routes: readonly number[];
  /** Why it is refused, in one sentence; else null. */
  readonly reason: string | null;
  readonly weightBytes: number;
  readonly stateBytes: number;
  /** Keys and values at most. */
  readonly cacheBytes: number;
}

export interface ModelView {
  readonly hash: string;
  /** How many it has; null where no stage tells, as nobody has it. */
  readonly layers: number | null;
  /** Those that no stage offers which a server would take. */
  readonly missing: readonly LayerRange[];
}

/** @param lost Stages that fell silent a while ago. */
export function overviewOf(
  pool: string,
  members: readonly Member[],
  lost: readonly StageEntry[] = [],
  trouble: string | null = null,
): Overview {
  const servers = members.flatMap((member) => member.kind === "server" ? [member.entry] : []);
  const entries = members.flatMap((member) => member.kind === "stage" ? [member.entry] : []);
  const stages = entries.map((entry) => ({ ...viewOf(entry), ...stateOf(entry, servers) }));
  const gone = lost.map((entry) => ({ ...viewOf(entry), state: "lost" as const, routes: [], reason: null }));
  return {
    pool,
    trouble,
    servers: servers.map(({ protocol: _, beat: __, ...server }) => server).toSorted(bySession),
    stages: [...stages, ...gone].toSorted(byLayers),
    models: modelsOf(servers, entries),
    unknown: members.flatMap((member) => member.kind === "unknown" ? [{ id: member.id, reason: member.reason }] : []),
  };
}

function viewOf({ offer, status }: StageEntry): Omit<StageView, "state" | "routes" | "reason"> {
  const { id, host, version, model, layers, info } = offer;
  const { backend, device, weightBytes, stateBytes, cacheBytes } = info;
  const { steps, rows, rowsPerSecond, busy, queue, malformed, hops } = status;
  return {
    ...{ id, host, version, hash: model.hash, layers, backend, device },
    ...{ steps, rows, rowsPerSecond, busy, queue, malformed, hops, weightBytes, stateBytes, cacheBytes },
  };
}

function stateOf(
  { offer: { id } }: StageEntry,
  servers: readonly ServerEntry[],
): Pick<StageView, "state" | "routes" | "reason"> {
  const routes = servers.flatMap((server) => server.routes).filter(({ stages }) => stages.includes(id))
    .map(({ route }) => route).toSorted((a, b) => a - b);
  if (routes.length > 0) return { state: "serving", routes, reason: null };
  const refusal = servers.flatMap(({ refused }) => refused).find((refused) => refused.id === id);
  return { state: refusal ? "refused" : "idle", routes, reason: refusal?.reason ?? null };
}

function modelsOf(servers: readonly ServerEntry[], stages: readonly StageEntry[]): ModelView[] {
  const hashes = new Set([...servers.map(({ hash }) => hash), ...stages.map(({ offer }) => offer.model.hash)]);
  const refused = new Set(servers.flatMap(({ refused }) => refused).map(({ id }) => id));
  return [...hashes].toSorted().map((hash) => {
    const offers = stages.map(({ offer }) => offer).filter(({ model }) => model.hash === hash);
    const layers = offers[0]?.model.layers ?? null;
    const taken = offers.filter(({ id }) => !refused.has(id));
    return { hash, layers, missing: layers === null ? [] : missingLayers(taken, layers) };
  });
}

const order = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;
const bySession = (a: ServerView, b: ServerView) => order(a.session, b.session);
const byLayers = (a: StageView, b: StageView) =>
  a.layers.start - b.layers.start || a.layers.end - b.layers.end || order(a.host, b.host) || order(a.id, b.id);

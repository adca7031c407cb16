/** Figures of a pool's stages and routes for Prometheus, as the engine last heard them. Who is gone has none. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { ServedModel } from "./served.ts";

export type PoolStatus = NonNullable<Awaited<ReturnType<ServedModel["status"]>>["pool"]>;
type Stage = PoolStatus["stages"][number];

const STAGE_LABELS = ["stage", "host", "layers"] as const;
type StageLabel = typeof STAGE_LABELS[number];

/** Stages that have figures: a pool may be as large as somebody likes, Prometheus' memory may not. */
const MOST_STAGES = 1000;
const MOST_LABEL = 64;

/** What a stage tells, each with its name, what it means, and how it is had from the stage. */
const STAGE_GAUGES: readonly (readonly [name: string, help: string, value: (stage: Stage) => number])[] = [
  ["up", "1 for every stage that is in the pool", () => 1],
  ["rows_per_second", "Tokens that went through a stage in the last second", (stage) => stage.rowsPerSecond],
  ["busy_ratio", "Share of the last second in which a stage computed", (stage) => stage.busy],
  ["queue", "Steps that wait for a stage or are in it", (stage) => stage.queue],
];
const STAGE_COUNTERS: typeof STAGE_GAUGES = [
  ["steps_total", "Steps of a stage since it was opened", (stage) => stage.steps],
  ["rows_total", "Tokens that went through a stage since it was opened", (stage) => stage.rows],
  ["malformed_total", "Frames and connections that a stage refused", (stage) => stage.malformed],
];
const COUNTERS: readonly (readonly [name: string, help: string, value: (pool: PoolStatus) => number])[] = [
  ["stages_lost_total", "Stages that were on a route and are gone", (pool) => pool.lost],
  [
    "sequences_restarted_total",
    "Sequences that were read again as a stage of theirs was lost",
    (pool) => pool.restarted,
  ],
  ["sequences_waited_total", "Sequences that had to wait for a route", (pool) => pool.waited],
  ["malformed_total", "Frames and connections that the server itself refused", (pool) => pool.malformed],
];

export class PoolMetrics {
  readonly #stages: readonly (readonly [Gauge<StageLabel> | Counter<StageLabel>, (stage: Stage) => number])[];
  readonly #counters: readonly (readonly [Counter, (pool: PoolStatus) => number])[];
  readonly #hops: Gauge<StageLabel | "transport">;
  readonly #routes: Gauge;
  readonly #missing: Gauge;
  readonly #sequences: Gauge<"route">;

  constructor(registry: Registry) {
    const registers = [registry];
    const prefix = "ringlet_pool_";
    const labelNames = STAGE_LABELS;
    const named = (name: string, help: string) => ({ name: `${prefix}${name}`, help, registers });
    this.#stages = [
      ...STAGE_GAUGES.map(([name, help, value]) =>
        [new Gauge({ ...named(`stage_${name}`, help), labelNames }), value] as const
      ),
      ...STAGE_COUNTERS.map(([name, help, value]) =>
        [new Counter({ ...named(`stage_${name}`, help), labelNames }), value] as const
      ),
    ];
    this.#counters = COUNTERS.map(([name, help, value]) => [new Counter(named(name, help)), value] as const);
    this.#hops = new Gauge({
      ...named(
        "hop_round_trip_seconds",
        "Of a small frame from a stage to the next one and back, the longest of its routes",
      ),
      labelNames: [...labelNames, "transport"],
    });
    this.#routes = new Gauge(named("routes", "Chains of stages that cover all layers"));
    this.#missing = new Gauge(named("layers_missing", "Layers that no stage offers"));
    this.#sequences = new Gauge({
      ...named("route_sequences", "Sequences that are pinned to a route"),
      labelNames: ["route"],
    });
  }

  set(pool: PoolStatus): void {
    const stages = pool.stages.slice(0, MOST_STAGES);
    for (const [metric, value] of this.#stages) {
      metric.reset();
      for (const stage of stages) metric.inc(labels(stage), value(stage));
    }
    this.#setHops(stages);
    for (const [counter, value] of this.#counters) {
      counter.reset();
      counter.inc(value(pool));
    }
    this.#routes.set(pool.routes.length);
    this.#missing.set(pool.missing.reduce((sum, { start, end }) => sum + end - start, 0));
    this.#sequences.reset();
    for (const { route, sequences } of pool.routes.slice(0, MOST_STAGES)) this.#sequences.set({ route }, sequences);
  }

  #setHops(stages: readonly Stage[]): void {
    this.#hops.reset();
    for (const stage of stages) {
      for (const transport of ["tcp", "nats"] as const) {
        const millis = stage.hops.filter((hop) => hop.transport === transport).flatMap(({ roundTripMillis }) =>
          roundTripMillis ?? []
        );
        if (millis.length > 0) this.#hops.set({ ...labels(stage), transport }, Math.max(...millis) / 1000);
      }
    }
  }
}

/** Layers as on the command line, `10-19`. */
function labels({ id, host, layers }: Stage): Record<StageLabel, string> {
  return { stage: id, host: host.slice(0, MOST_LABEL), layers: `${layers.start}-${layers.end - 1}` };
}

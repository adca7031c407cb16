/** What an engine whose stages are members of a pool tells of them, for whoever watches it. */
import type { LayerRange } from "./steps.ts";

export interface PoolStatus {
  /** Those that are there. */
  readonly stages: readonly PoolStageStatus[];
  readonly routes: readonly PoolRouteStatus[];
  /** Layers that no stage offers. */
  readonly missing: readonly LayerRange[];
  /** Since the engine was opened: stages on routes that were lost, sequences that began anew for it, and those that had to wait for a route. */
  readonly lost: number;
  readonly restarted: number;
  readonly waited: number;
  /** Frames and connections that the server itself refused. */
  readonly malformed: number;
}

/** As a stage's last heartbeat has it. */
export interface PoolStageStatus {
  readonly id: string;
  readonly host: string;
  readonly layers: LayerRange;
  /** Since the stage was opened. */
  readonly steps: number;
  readonly rows: number;
  /** Of the last second: rows, and the share of the time in which it computed. */
  readonly rowsPerSecond: number;
  readonly busy: number;
  /** Steps that wait for it or are in it. */
  readonly queue: number;
  /** Frames and connections that it refused. */
  readonly malformed: number;
  readonly hops: readonly { readonly transport: "tcp" | "nats"; readonly roundTripMillis: number | null }[];
}

export interface PoolRouteStatus {
  readonly route: number;
  /** Ids of its stages, from the first layer to the last. */
  readonly stages: readonly string[];
  /** That are pinned to it. */
  readonly sequences: number;
}

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

/** How a stage of a pool does, as it tells with each heartbeat. */
export interface StageFigures {
  /** Since the stage was opened. */
  readonly steps: number;
  readonly rows: number;
  /** Of the last second: rows, and the share of the time in which it computed. */
  readonly rowsPerSecond: number;
  readonly busy: number;
  /** Steps that wait for it or are in it. */
  readonly queue: number;
  /** Frames and connections that it refused, as they were malformed or not of a peer. */
  readonly malformed: number;
  readonly hops: readonly HopStatus[];
}

/** One way out of a stage. */
export interface HopStatus {
  readonly route: number;
  /** The next stage's id, or `server`. */
  readonly to: string;
  readonly transport: "tcp" | "nats";
  /** Of a small frame there and back; null before it was measured. */
  readonly roundTripMillis: number | null;
}

export interface PoolStageStatus extends StageFigures {
  readonly id: string;
  readonly host: string;
  readonly layers: LayerRange;
}

export interface PoolRouteStatus {
  readonly route: number;
  /** Ids of its stages, from the first layer to the last. */
  readonly stages: readonly string[];
  /** That are pinned to it. */
  readonly sequences: number;
}

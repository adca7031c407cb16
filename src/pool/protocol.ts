/** What the members of a pool say to each other over NATS: what a stage offers, how it does, and how a server makes a route through it. */
import type { KvCacheType, Quantize, StageInfo } from "../pipeline/messages.ts";
import type { HopStatus, StageFigures } from "../pipeline/pool_status.ts";
import type { LayerRange } from "../pipeline/steps.ts";
import type { Activations } from "../wire/room.ts";
import type { Offer as InboxOffer } from "../wire/wire.ts";

export type { Activations, InboxOffer };

/** Of offers, control messages and frames together: members of another version are refused. */
export const PROTOCOL = 1;

/** A stage writes its entry as often, and is lost once nothing was heard of it for {@linkcode LOST_MILLIS}. */
export const HEARTBEAT_MILLIS = 1000;
export const LOST_MILLIS = 3500;

/** Key-value bucket of a pool, and the keys and subjects in it. A pool's name has letters, digits, `-` and `_` only. */
export const bucketOf = (pool: string): string => `ringlet_${pool}`;
export const stageKey = (id: string): string => `stage.${id}`;
export const serverKey = (session: string): string => `server.${session}`;
export const controlSubject = (pool: string, id: string): string => `ringlet.${pool}.stage.${id}`;
export const inboxSubject = (pool: string, inbox: string): string => `ringlet.${pool}.inbox.${inbox}`;

/** What must be equal on all members, for answers to be what one process gives. */
export interface ModelIdentity {
  /** sha256 in hex of the configuration, the tensors' names, types and shapes, and samples of their bytes. */
  readonly hash: string;
  readonly layers: number;
  /** H, width of what goes from stage to stage. */
  readonly hidden: number;
  /** V */
  readonly vocabulary: number;
  readonly quantize: Quantize;
  readonly kvCache: KvCacheType;
  readonly decay: string;
  readonly ropeScaling: string | null;
}

/** For what a stage has made room; a server asks for no more than the least of its members. */
export interface StageCapacity {
  readonly slots: number;
  readonly context: number;
  readonly maxRows: number;
  /** Steps before the last whose logits are kept. */
  readonly keptLogits: number;
  /** Snapshots of the prefix cache; 0 keeps nothing. */
  readonly snapshots: number;
  /** Pages of keys and values, of slots and snapshots. */
  readonly pages: number;
  /** Positions of a page. */
  readonly alignment: number;
}

/** What a stage is, from when it is open until it ends. */
export interface StageOffer {
  readonly protocol: number;
  /** Ringlet's. */
  readonly version: string;
  /** New at every start. */
  readonly id: string;
  /** The computer's name. */
  readonly host: string;
  readonly model: ModelIdentity;
  readonly layers: LayerRange;
  readonly capacity: StageCapacity;
  readonly info: StageInfo;
  /** Measured when it was opened: milliseconds of a step of one row, and rows per second of the largest. */
  readonly speed: { readonly rowMillis: number; readonly promptRows: number };
}

export interface StageStatus extends StageFigures {
  /** The server that it works for; null before the first and after the last route. */
  readonly session: string | null;
}

/** The value of a stage's key, as JSON. */
export interface StageEntry {
  readonly offer: StageOffer;
  readonly status: StageStatus;
  /** Counts heartbeats. */
  readonly beat: number;
}

/** The value of a server's key, as JSON; heartbeats as a stage's. */
export interface ServerEntry {
  readonly protocol: number;
  readonly version: string;
  readonly session: string;
  readonly host: string;
  /** sha256 as in {@linkcode ModelIdentity}. */
  readonly hash: string;
  readonly running: number;
  readonly waiting: number;
  /** Each a list of stage ids, from the first layer to the last, under the route's number. */
  readonly routes: readonly {
    readonly route: number;
    readonly stages: readonly string[];
    readonly sequences: number;
  }[];
  /** Stages that it does not take, and why. */
  readonly refused: readonly { readonly id: string; readonly reason: string }[];
  readonly beat: number;
}

/**
 * A server's requests to a stage, as JSON, each answered by a {@linkcode ControlReply}. A route goes through one stage for each of its layer
 * ranges: every stage on it is asked to `join`, then to `connect` to the next one's inbox. Routes are numbered upwards in a session.
 */
export type ControlRequest =
  | {
    readonly type: "join";
    readonly protocol: number;
    readonly session: string;
    readonly route: number;
    readonly activations: Activations;
  }
  | {
    readonly type: "connect";
    readonly session: string;
    readonly route: number;
    readonly to: InboxOffer;
    readonly name: string;
  }
  /** Ends a route, and gives back what only it had in the stage's slots and snapshots. */
  | { readonly type: "leave"; readonly session: string; readonly route: number };

export type ControlReply =
  | { readonly type: "joined"; readonly inbox: InboxOffer }
  | { readonly type: "connected"; readonly transport: HopStatus["transport"] }
  | { readonly type: "left" }
  /** One sentence. */
  | { readonly type: "refused"; readonly reason: string };

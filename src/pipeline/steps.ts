/** What the engine and its stages say to each other: steps, and what becomes of them. */
import type { Load, Store } from "./copies.ts";

/** Half-open range of layers, `[start, end)`. */
export interface LayerRange {
  readonly start: number;
  readonly end: number;
}

/** Consecutive rows of a step that continue one sequence. A segment that starts at position 0 starts from an empty state. */
export interface Segment {
  /** Where the sequence's linear state and KV live, on every stage. */
  readonly slot: number;
  /** Absolute position of the first row. */
  readonly start: number;
  readonly rows: number;
  /**
   * Begin with the linear states of this snapshot, which was kept at position `start`, in place of what the slot holds; and with its keys
   * and values, if it was kept where a page ends.
   */
  readonly from?: number;
  /** Keep the slot's linear states, as they are before these rows, as this snapshot. */
  readonly before?: number;
  /** Keep the slot's linear states, as they are after these rows, as this snapshot; and its pages, if the last one ends here. */
  readonly keep?: number;
}

/** One pass of some tokens through all layers: prefill and decode rows alike, T rows in all. */
export interface Step {
  readonly id: number;
  /** Rows in order; their counts sum to T. No slot occurs twice. */
  readonly segments: readonly Segment[];
  /** Rows whose logits are wanted, ascending, [R]; may be empty. */
  readonly outputs: Uint32Array;
  /**
   * Makes it a chain of steps, [steps, R], on a stage that has all layers: how the device draws the token of each output, with which the
   * sequence goes on by one row in the next of them. Then every segment has one row, which is an output.
   */
  readonly draws?: readonly (readonly Draw[])[];
  /** It brings no tokens and goes on with those that the chain before it draws last, which may still be under way. */
  readonly follows?: true;
  /** Where it computes nothing, what it takes from the host's memory. */
  readonly load?: Load;
  /** Milliseconds that it may take from here to the end, where whoever waits gives up after that. */
  readonly deadline?: number;
}

/** Whose pages of keys and values nobody wants any more. */
export interface Released {
  readonly slots: readonly number[];
  readonly snapshots: readonly number[];
  /** Counted with the ids of steps, where some may come by another way and overtake it. */
  readonly order?: number;
}

/** Steps of a chain at most. */
export const MOST_STEPS = 16;

/** Sequences that may go on in a chain: where more decode together, a step takes so long that the host's share is small. */
export const MOST_AHEAD = 32;

/** Bounds the logits of one step; a row of the largest vocabulary has 0.6 MiB. */
const MOST_LOGIT_BYTES = 64 * 2 ** 20;

/** Output rows that one step of at most `maxRows` may have. */
export function mostOutputs(vocabulary: number, maxRows: number): number {
  return Math.max(1, Math.min(maxRows, Math.floor(MOST_LOGIT_BYTES / (4 * vocabulary))));
}

/** How a device draws a token from candidates. The engine checks each one: it draws in more digits, and from whole rows where it must. */
export interface Draw {
  /** Above 0. */
  readonly temperature: number;
  /** Likeliest tokens kept, at least 1; 1 is greedy. */
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  /** In (0, 1], what falls on the token. */
  readonly u: number;
}

/** The likeliest tokens of R rows, by falling logit (ties to the lower id); of a chain, R of each step. */
export interface Candidates {
  /** K, the candidates of each row. */
  readonly perRow: number;
  /** [R, K] token ids. */
  readonly ids: Uint32Array;
  /** [R, K] */
  readonly logits: Float32Array;
  /** [R] ln Σ exp(logit) over the whole vocabulary. */
  readonly logSumExp: Float32Array;
  /** [steps, R] tokens that the device drew and, but for those of the last step, went on with. */
  readonly drawn?: Uint32Array;
  /** Milliseconds that the stages' devices worked on the step, where they measure them. */
  readonly gpuMillis?: number;
}

/** What a stage receives: from the engine (`tokens`) or from the stage before (`hidden`). Others pass through to the last stage. */
export type ToStage =
  | { readonly type: "tokens"; readonly step: Step; readonly tokens: Uint32Array }
  | { readonly type: "hidden"; readonly step: Step; readonly hidden: Float32Array; readonly gpuMillis?: number }
  /** Ends at the last stage. */
  | { readonly type: "release"; readonly released: Released }
  /** Copies to the host's memory. */
  | { readonly type: "store"; readonly id: number; readonly store: Store }
  /** Asks for the whole logits of a step, behind which no more others have been begun than logits are kept of. */
  | { readonly type: "logits"; readonly id: number }
  /** Nobody waits for a step any more: where it has not begun it need not, and fails. Follows it until it is found. */
  | { readonly type: "cancel"; readonly id: number }
  | StepFailure;

/** What the engine hears from the last stage. A `failed` of any stage travels on to the end. */
export type FromStage =
  | { readonly type: "candidates"; readonly id: number; readonly candidates: Candidates }
  /** logits: [R, V] */
  | { readonly type: "logits"; readonly id: number; readonly logits: Float32Array }
  /** All stages did. */
  | { readonly type: "stored"; readonly id: number }
  | StepFailure;

export interface StepFailure {
  readonly type: "failed";
  readonly id: number;
  readonly reason: string;
  /** Where it failed for want of pages: how many the stage has, and will have. */
  readonly pages?: number;
  /** What it went on from is gone, with a stage or by another way: its sequences may begin anew. */
  readonly lost?: true;
}

/** What runs an engine's steps: a pipeline of stages, or several that share them out. */
import type { Store } from "./copies.ts";
import type { Candidates, Released, Step } from "./steps.ts";

/** The candidates of a step. */
export interface Found extends Candidates {
  /** Segments of the step, by number, that were lost with their stages: their outputs here mean nothing. None if left out. */
  readonly lost?: ReadonlySet<number>;
}

export interface Runner {
  /** Aborts when nothing can run any more, with an Error that says why. */
  readonly broken: AbortSignal;
  /**
   * Runs one step and resolves to the candidates of its R output rows, of which some may be lost.
   * Rejects with a StepError if a stage failed in this step, or all of it was lost; with an UnavailableError if there is no stage for it.
   * @param tokens [T] token ids, in the order of the step's segments.
   */
  run(step: Step, tokens: Uint32Array): Promise<Found>;
  /** Nobody waits for step `id` any more: stages that have not begun it fail it. */
  cancel(id: number): void;
  /** Whether a sequence had better begin from this snapshot, where that is, than anew elsewhere; always if left out. */
  suits?(snapshot: number): boolean;
  /** Lets the stages take back pages, behind the steps that were begun before. */
  release(released: Released): Promise<void>;
  /** Lets the stages copy to the host's memory. */
  store(store: Store): Promise<void>;
  /** [R, V] whole logits of step `id`, behind which no more others have been begun than logits are kept of. */
  logits(id: number): Promise<Float32Array>;
}

/** Nobody is there to run a step, and nobody came in time. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
}

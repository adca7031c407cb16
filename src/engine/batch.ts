/** A step with whose it is. */
import type { Released, Step } from "../pipeline/steps.ts";
import type { Sequence } from "./sequence.ts";

/** A sequence's part of a step. */
export interface Share {
  readonly sequence: Sequence;
  /** That of the sequence when the step was made. */
  readonly run: object;
  /** How many of the step's outputs are its. */
  readonly outputs: number;
}

/** A step, its tokens and whose they are. */
export interface Batch {
  readonly step: Step;
  /** [T]; none where the step follows another */
  readonly tokens: Uint32Array;
  /** Of each segment; their outputs follow one another. */
  readonly shares: readonly Share[];
  /** What the stages are to take back before it. */
  readonly released: Released | null;
  /** Whether sequences decode in it, and it is not a chunk of one. */
  readonly decodes: boolean;
  /** Whether all sequences that have a slot decode, in it or by turns with it. */
  readonly allDecode: boolean;
}

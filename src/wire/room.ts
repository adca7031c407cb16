/** For what both ends of a hop have made room, which is what frames must fit. */
import { mostOutputs } from "../pipeline/steps.ts";
import { MOST_TEXT_BYTES } from "./arrays.ts";

/** In what hidden rows travel; bf16 halves them and rounds. */
export type Activations = "f32" | "bf16";

/** A stage's capacity and its model's identity together have all of it. */
export interface Room {
  readonly slots: number;
  readonly snapshots: number;
  /** Positions of a sequence. */
  readonly context: number;
  /** Rows of a step. */
  readonly maxRows: number;
  /** H */
  readonly hidden: number;
  /** V */
  readonly vocabulary: number;
}

/** Of everything in a frame but what has a size of its own. */
const FIXED_BYTES = 256 + MOST_TEXT_BYTES;
const SEGMENT_BYTES = 27;

/** Bytes of the longest frame into a stage. */
export function mostToStageBytes({ slots, snapshots, maxRows, hidden }: Room, activations: Activations): number {
  const rows = maxRows * hidden * (activations === "bf16" ? 2 : 4);
  const step = slots * SEGMENT_BYTES + 4 * maxRows + Math.max(4 * maxRows, rows);
  return FIXED_BYTES + Math.max(step, 4 * (slots + snapshots));
}

/** Bytes of the longest frame from the last stage: the whole logits of a step, or as many candidates. */
export function mostFromStageBytes({ vocabulary, maxRows }: Room): number {
  return FIXED_BYTES + mostOutputs(vocabulary, maxRows) * 4 * (2 * vocabulary + 1);
}

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

/** Of a frame, but for what there may be many of. */
const FIXED_BYTES = 128;
const SEGMENT_BYTES = 27;

/** Bytes of the longest frame into a stage. */
export function mostToStageBytes({ slots, snapshots, maxRows, hidden }: Room, activations: Activations): number {
  const row = Math.max(4, hidden * (activations === "bf16" ? 2 : 4));
  const step = slots * SEGMENT_BYTES + maxRows * (4 + row); // each an output
  return FIXED_BYTES + Math.max(step, 4 * (slots + snapshots), MOST_TEXT_BYTES);
}

/** Bytes of the longest frame from the last stage: as many candidates as there may be, which are more than whole logits. */
export function mostFromStageBytes({ vocabulary, maxRows }: Room): number {
  return FIXED_BYTES + Math.max(mostOutputs(vocabulary, maxRows) * 4 * (2 * vocabulary + 1), MOST_TEXT_BYTES);
}

/** For what both ends of a hop have made room, which is what frames must fit. */

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

/** The choices of a step sorted by expert, in tiles of those that share one. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Tensor } from "../tensor.ts";
import { type Recording, whole } from "./recording.ts";

/** As sort_experts.wgsl leaves them. */
export interface SortedChoices {
  readonly buffer: GPUBuffer;
  /** At most. */
  readonly tiles: number;
  readonly tileRows: number;
  readonly experts: number;
  readonly perRow: number;
}

/** Where the choices of some routing lie, sorted into tiles of at most `tileRows`. */
export function sortedChoices(
  recording: Recording,
  ids: Tensor,
  experts: number,
  tileRows: number,
): SortedChoices {
  const perRow = ids.shape[1]!;
  const choices = recording.capacity.rows * perRow;
  const tiles = Math.min(choices, Math.floor(choices / tileRows) + experts);
  return { buffer: recording.scratch(`sorted ${ids.label}`, 4 * tiles + choices), tiles, tileRows, experts, perRow };
}

/** Sorts what the router chose, for the products that follow. */
export function sortChoices(
  recording: Recording,
  ids: Tensor,
  { buffer, tiles, tileRows, experts, perRow }: SortedChoices,
): void {
  const { device: { software, wideLanes }, capacity } = recording;
  // One for each choice of a decode step of 32 rows and 8 experts.
  const LANES = software ? wideLanes : 2 * wideLanes;
  recording.dispatch(
    SHADERS.sortExperts,
    {
      constants: { LANES, EXPERTS: experts, PER_ROW: perRow, TILE_ROWS: tileRows },
      workgroups: ({ rows }) => rows === 0 ? 0 : experts,
    },
    { ids: whole(ids, "u32"), places: buffer },
    { tiles, choices: capacity.rows * perRow },
  );
}

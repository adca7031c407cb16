/** The candidates of a step, or of a chain, out of what is read back of it. */
import type { Candidates } from "../pipeline/steps.ts";

/** Candidates out of rows of the trail, of which so many drew a token. */
export function candidatesOf(trail: Uint32Array, width: number, drew: number): Candidates {
  const perRow = width / 2 - 1;
  const rows = trail.length / width;
  const column = (from: number, to: number, count = rows) => {
    const values = new Uint32Array(count * (to - from));
    for (let r = 0; r < count; r++) values.set(trail.subarray(r * width + from, r * width + to), r * (to - from));
    return values;
  };
  return {
    perRow,
    ids: column(0, perRow),
    logits: new Float32Array(column(perRow, 2 * perRow).buffer),
    logSumExp: new Float32Array(column(2 * perRow, 2 * perRow + 1).buffer),
    ...(drew > 0 && { drawn: column(2 * perRow + 1, width, drew) }),
  };
}

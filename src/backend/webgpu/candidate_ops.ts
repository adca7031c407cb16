/** The likeliest tokens: of each block of logits, then of a row's blocks. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { CandidateTensors } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import { type Recording, whole } from "./recording.ts";

/** Logits that one workgroup looks through. */
const BLOCK = 4096;

export function candidates(recording: Recording, out: CandidateTensors, logits: Tensor): void {
  const vocabulary = logits.shape[1]!;
  const perRow = out.ids.shape[1]!;
  if (perRow > vocabulary) {
    throw new RangeError(`Cannot find ${perRow} candidates: there are ${vocabulary} logits a row`);
  }
  const blocks = Math.ceil(vocabulary / BLOCK);
  const all = recording.capacity.outputs * blocks;
  const ids = recording.scratch("block ids", all * perRow);
  const values = recording.scratch("block values", all * perRow);
  const sums = recording.scratch("block sums", all * 2);
  const constants = { LANES: recording.device.wideLanes, PER_ROW: perRow };
  recording.dispatch(
    SHADERS.blockCandidates,
    { constants: { ...constants, BLOCK }, workgroups: ({ outputs }) => outputs * blocks },
    { logits: whole(logits), ids, values, sums },
    { vocabulary },
  );
  recording.dispatch(
    SHADERS.mergeCandidates,
    { constants, workgroups: ({ outputs }) => outputs },
    {
      block_ids: ids,
      block_values: values,
      block_sums: sums,
      ids: whole(out.ids, "u32"),
      values: whole(out.logits),
      log_sum_exp: whole(out.logSumExp),
    },
    { blocks },
  );
}

/** The likeliest tokens: the blocks of logits that hold them, then the tokens, then what is drawn of them. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { CandidateTensors } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import { type Recording, whole } from "./recording.ts";

export function candidates(recording: Recording, out: CandidateTensors, logits: Tensor): void {
  const { device, capacity } = recording;
  const vocabulary = logits.shape[1]!;
  const PER_ROW = out.ids.shape[1]!;
  if (PER_ROW > vocabulary) {
    throw new RangeError(`Cannot find ${PER_ROW} candidates: there are ${vocabulary} logits a row`);
  }
  // As many blocks as logits in PER_ROW of them: the least to read.
  const BLOCK = Math.ceil(Math.sqrt(vocabulary / PER_ROW));
  const BLOCKS = Math.ceil(vocabulary / BLOCK);
  const sums = recording.scratch("block sums", 2 * capacity.outputs * BLOCKS);
  recording.dispatch(
    SHADERS.blockCandidates,
    { constants: { BLOCK, BLOCKS }, workgroups: ({ outputs }) => outputs * Math.ceil(BLOCKS / 4) },
    { logits: whole(logits), sums },
    { vocabulary },
  );
  recording.dispatch(
    SHADERS.mergeCandidates,
    {
      constants: { LANES: 2 * device.wideLanes, PER_ROW, BLOCK, BLOCKS },
      workgroups: ({ outputs }) => 2 * outputs,
    },
    {
      logits: whole(logits),
      sums,
      ids: whole(out.ids, "u32"),
      values: whole(out.logits),
      log_sum_exp: whole(out.logSumExp),
    },
    { vocabulary },
  );
}

export function draw(recording: Recording, trail: Tensor, { ids, logits, logSumExp }: CandidateTensors): void {
  const PER_ROW = ids.shape[1]!;
  recording.dispatch(
    SHADERS.draw,
    {
      constants: { LANES: 2 ** Math.ceil(Math.log2(PER_ROW)), PER_ROW },
      workgroups: ({ outputs }) => outputs,
    },
    { ids: whole(ids, "u32"), logits: whole(logits), log_sum_exp: whole(logSumExp), trail: whole(trail, "u32") },
    {},
  );
}

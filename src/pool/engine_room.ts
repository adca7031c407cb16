/** For what an engine has room whose stages are members of a pool. */
import type { StageInfo } from "../pipeline/messages.ts";
import type { StageCapacity } from "./protocol.ts";

/** What the stages of its first route have together. */
export function engineRoom({ room, stages }: { readonly room: StageCapacity; readonly stages: readonly StageInfo[] }) {
  const { slots, context, maxRows, snapshots, pages, alignment } = room;
  const kept = Math.max(0, pages - slots * Math.ceil(context / alignment));
  const decodeRows = Math.min(...stages.map(({ decodeRows = Infinity }) => decodeRows));
  return {
    ...{ slots, context, maxRows, snapshots, pages, decodeRows },
    stages: stages.length,
    devices: stages.length, // each is a process of its own, mostly on a computer of its own
    vocabulary: stages[0]!.vocabulary,
    prefixCache: { alignment, snapshots, pages: kept },
  };
}

/**
 * Steps before the last whose logits are kept for whoever asks: between a step and the question for its logits each of the routes that share
 * a last stage may run a part of each later step there, and one of the step itself.
 */
export function keptLogits({ keptLogits }: StageCapacity, stages: number, sharing: number): number {
  return Math.max(0, Math.min(stages - 1, Math.floor((keptLogits + 1) / sharing) - 1));
}

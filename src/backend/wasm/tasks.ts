/** Calls that follow each other, cut into the pieces that threads make. */
import { type Call, type Counts, type Cut, piecesOf } from "./call.ts";

/** A call that is cut, or several that follow each other as one piece. */
export interface Task {
  /** The first of its calls, and how many there are. */
  readonly from: number;
  readonly calls: number;
  readonly pieces: number;
}

/** Tasks that are made at the same time, when all groups before are done. */
export type Group = readonly Task[];

/** Small calls that follow each other become one task: to hand over each would take longer. */
export function groupsOf(calls: readonly Call[], counts: Counts, cut: Cut): Group[] {
  const groups: Task[][] = [];
  calls.forEach(({ range, beside }, from) => {
    const pieces = piecesOf(range, counts, cut);
    const group = groups.at(-1);
    const last = group?.at(-1);
    if (beside && last?.calls === 1) group!.push({ from, calls: 1, pieces });
    else if (pieces === 1 && group?.length === 1 && last!.pieces === 1) group[0] = { ...last!, calls: last!.calls + 1 };
    else groups.push([{ from, calls: 1, pieces }]);
  });
  return groups;
}

/** How many pieces of a group are a thread's own: piece 0 is thread 0's, piece 1 is thread 1's, and so on in turns. */
export function ownPieces(group: Group, thread: number, threads: number): number {
  const pieces = group.reduce((sum, { pieces }) => sum + pieces, 0);
  return Math.ceil(Math.max(0, pieces - thread) / threads);
}

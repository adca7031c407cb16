/** Calls that follow each other, cut into the pieces that threads take by their numbers. */
import { type Call, type Counts, type Cut, piecesOf } from "./call.ts";

/** A call that is cut, or several that follow each other as one piece. */
export interface Task {
  /** The first of its calls, and how many there are. */
  readonly from: number;
  readonly calls: number;
  readonly pieces: number;
  /** The number of its first piece, counted from the run's first. */
  readonly first: number;
  /** How many pieces must be done before it. */
  readonly gate: number;
}

/** The number behind the last piece of tasks in their order. */
export function totalOf(tasks: readonly Task[]): number {
  const last = tasks.at(-1);
  return last === undefined ? 0 : last.first + last.pieces;
}

/** Whether a task is one piece and comes behind all others. */
export const isWhole = ({ pieces, first, gate }: Task): boolean => pieces === 1 && first === gate;

/** Small calls that follow each other become one task: to hand over each would take longer. */
export function tasksOf(calls: readonly Call[], counts: Counts, cut: Cut): Task[] {
  const tasks: Task[] = [];
  calls.forEach(({ range, beside }, from) => {
    const pieces = piecesOf(range, counts, cut);
    const [last, first] = [tasks.at(-1), totalOf(tasks)];
    const parallel = beside && last?.calls === 1;
    if (!parallel && pieces === 1 && last !== undefined && isWhole(last)) {
      tasks[tasks.length - 1] = { ...last, calls: last.calls + 1 };
    } else tasks.push({ from, calls: 1, pieces, first, gate: parallel ? last.gate : first });
  });
  return tasks;
}

/** The requests that an engine works on, by id, and which of them a step is still for. */
import type { Batch, Share } from "./batch.ts";
import { GenerateTask } from "./generate_task.ts";
import type { ScoreTask } from "./score_task.ts";
import type { Sequence } from "./sequence.ts";

export type Task = GenerateTask | ScoreTask;

export class Tasks extends Map<number, Task> {
  /** Undefined if it was aborted while its step was under way. */
  of(sequence: Sequence): Task | undefined {
    const task = this.get(sequence.id);
    return task?.sequence === sequence ? task : undefined;
  }

  /** Whether a sequence still waits for its part of a step. */
  counts({ sequence, run }: Share): boolean {
    return sequence.run === run && this.of(sequence) !== undefined;
  }

  /** Those of a step while all sequences decode and none of these is still behind, so that the device may go on by itself; else null. */
  decoding({ step, shares, allDecode }: Batch): GenerateTask[] | null {
    if (!allDecode || step.outputs.length < shares.length) return null;
    const tasks = shares.map(({ sequence }) => this.of(sequence)).filter((task) => task instanceof GenerateTask);
    return tasks.length === shares.length ? tasks : null;
  }
}

/** How long steps take, and how many there were. */
import type { StepReport } from "../pipeline/messages.ts";
import type { Batch } from "./batch.ts";
import type { StepOutputs } from "./step_outputs.ts";

export class StepClock {
  #end = 0; // when the step before ended, or there was something to do again
  #millis = Infinity;
  #steps = 0;
  #rows = 0;

  /** Steps that were made. */
  get steps(): number {
    return this.#steps;
  }

  /** Rows of all of them. */
  get rows(): number {
    return this.#rows;
  }

  /** Milliseconds of the step before if all sequences were decoding, else Infinity. */
  get decodeMillis(): number {
    return this.#millis;
  }

  /** There is something to do again. */
  start(): void {
    this.#end = performance.now();
  }

  /** A step is over, or a chain of several; returns the milliseconds of each. */
  tick({ step: { segments }, allDecode }: Batch, steps: number): number {
    const now = performance.now();
    const millis = (now - this.#end) / steps;
    this.#end = now;
    this.#millis = allDecode ? millis : Infinity;
    this.#steps += steps;
    this.#rows += steps * segments.reduce((sum, { rows }) => sum + rows, 0);
    return millis;
  }
}

/** A report of a step, or of each one of a chain, each of which took so long. */
export function reportsOf(
  { step: { segments, outputs } }: Batch,
  { steps, gpuMillis }: Pick<StepOutputs, "steps" | "gpuMillis">,
  millis: number,
): StepReport[] {
  const gpu = gpuMillis === null ? null : gpuMillis / steps;
  return Array.from({ length: steps }, (_, i) => {
    const moved = segments.map((segment) => ({ ...segment, start: segment.start + i }));
    return { segments: moved, outputs: outputs.length, millis, gpuMillis: gpu };
  });
}

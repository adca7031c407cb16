/** The logits of a step's output rows: candidates at hand, whole rows fetched at most once and only when asked for. */
import type { Candidates, Step } from "../pipeline/steps.ts";
import type { Runner } from "../pipeline/runner.ts";
import type { RowSource } from "./sampler.ts";

export class StepOutputs {
  readonly #pipeline: Runner;
  readonly #step: Step;
  readonly #candidates: Candidates;
  readonly #next: Step | null;
  #logits: Promise<Float32Array> | null = null;

  /** `next` is the step that follows it and has begun since, behind all of a chain; null if there is none. */
  constructor(pipeline: Runner, step: Step, candidates: Candidates, next: Step | null = null) {
    this.#pipeline = pipeline;
    this.#step = step;
    this.#candidates = candidates;
    this.#next = this.isCut ? null : next;
  }

  /** Steps that the device went through: those of a chain, or 1. */
  get steps(): number {
    return this.#candidates.logSumExp.length / this.perStep || 1;
  }

  /** R, output rows of each. */
  get perStep(): number {
    return this.#step.outputs.length;
  }

  /** Whether they are less of a chain than was asked for, as there were no pages. */
  get isCut(): boolean {
    return this.steps < (this.#step.draws?.length ?? 1);
  }

  /** Output rows of all of them. */
  get count(): number {
    return this.#candidates.logSumExp.length;
  }

  /** Milliseconds that the devices worked on all of them; null where that is not measured. */
  get gpuMillis(): number | null {
    return this.#candidates.gpuMillis ?? null;
  }

  /** The token with which the device went on from output `row`; undefined if it did not. */
  drawn(row: number): number | undefined {
    return row < this.#gone ? this.#candidates.drawn![row] : undefined;
  }

  /** The snapshot that keeps the states before the step's output `row` and those before it. */
  before(row: number): number {
    return this.#step.segments[row]!.before!;
  }

  /** That of the states before the step that has begun since. */
  nextBefore(row: number): number {
    return this.#next!.segments[row]!.before!;
  }

  /** Rows behind which something has begun, so that their logits are gone. */
  get #gone(): number {
    return this.#next ? this.count : this.count - this.perStep;
  }

  /** [R, V] of all output rows, of the last step. No step that follows it may have begun. */
  logits(): Promise<Float32Array> {
    return this.#logits ??= this.#pipeline.logits(this.#step.id);
  }

  /** One output row, as the sampler takes it; those of further steps follow the step's own. */
  source(row: number): RowSource {
    const { perRow, ids, logits, logSumExp } = this.#candidates;
    const [start, end] = [row * perRow, (row + 1) * perRow];
    return {
      candidates: {
        ids: ids.subarray(start, end),
        logits: logits.subarray(start, end),
        logSumExp: logSumExp[row] ?? NaN,
      },
      row: row < this.#gone ? null : () => this.#row(row - this.#gone),
    };
  }

  async #row(row: number): Promise<Float32Array> {
    const rows = await this.logits();
    const vocabulary = rows.length / this.perStep;
    return rows.subarray(row * vocabulary, (row + 1) * vocabulary);
  }
}

/** The logits of a step's output rows: candidates at hand, whole rows fetched at most once and only when asked for. */
import type { Candidates, Step } from "../pipeline/messages.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { RowSource } from "./sampler.ts";

export class StepOutputs {
  readonly #pipeline: Pipeline;
  readonly #step: Step;
  readonly #candidates: Candidates;
  #logits: Promise<Float32Array> | null = null;

  constructor(pipeline: Pipeline, step: Step, candidates: Candidates) {
    this.#pipeline = pipeline;
    this.#step = step;
    this.#candidates = candidates;
  }

  /** Further steps that the device went through. */
  get further(): number {
    return this.#drawn.length / this.perStep || 0;
  }

  /** R, output rows of each. */
  get perStep(): number {
    return this.#step.outputs.length;
  }

  /** The token with which the device went on from output `row`; undefined if it did not. */
  drawn(row: number): number | undefined {
    return this.#drawn[row];
  }

  get #drawn(): Uint32Array {
    return this.#candidates.drawn ?? new Uint32Array();
  }

  /** [R, V] of all output rows, of the last step. No further one may have begun. */
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
      row: row < this.#drawn.length ? null : () => this.#row(row - this.#drawn.length),
    };
  }

  async #row(row: number): Promise<Float32Array> {
    const rows = await this.logits();
    const vocabulary = rows.length / this.perStep;
    return rows.subarray(row * vocabulary, (row + 1) * vocabulary);
  }
}

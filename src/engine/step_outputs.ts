/** The logits of one step's output rows: candidates at hand, whole rows fetched at most once and only when asked for. */
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

  /** [R, V] of all output rows. No further step may have begun. */
  logits(): Promise<Float32Array> {
    return this.#logits ??= this.#pipeline.logits(this.#step.id);
  }

  /** One output row, as the sampler takes it. */
  source(row: number): RowSource {
    const { perRow, ids, logits, logSumExp } = this.#candidates;
    const [start, end] = [row * perRow, (row + 1) * perRow];
    return {
      candidates: {
        ids: ids.subarray(start, end),
        logits: logits.subarray(start, end),
        logSumExp: logSumExp[row] ?? NaN,
      },
      row: async () => {
        const rows = await this.logits();
        const vocabulary = rows.length / this.#step.outputs.length;
        return rows.subarray(row * vocabulary, (row + 1) * vocabulary);
      },
    };
  }
}

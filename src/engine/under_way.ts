/** The steps that the stages have: begun in their order, waited for in it, cancelled where they are for nobody. */
import type { Found, Runner } from "../pipeline/runner.ts";
import type { Batch } from "./batch.ts";
import type { EngineLimits } from "./limits.ts";

export interface Begun {
  readonly batch: Batch;
  readonly candidates: Promise<Found>;
}

export class UnderWay {
  readonly #runner: Runner;
  readonly #stages: number;
  readonly #keptLogits: number;
  readonly #begun: Begun[] = []; // as many as there are stages at most; of one stage two, if one of them is a chain that follows the other
  #awaited: Batch | null = null; // the step before these, while it is waited for

  constructor(runner: Runner, { stages = 1, keptLogits = 0 }: Pick<EngineLimits, "stages" | "keptLogits">) {
    this.#runner = runner;
    this.#stages = stages;
    this.#keptLogits = keptLogits;
  }

  get count(): number {
    return this.#begun.length;
  }

  /** How many of them are of sequences that decode. */
  get decodes(): number {
    return this.#begun.filter(({ batch }) => batch.decodes).length;
  }

  /** The one that comes out next. */
  get first(): Begun | undefined {
    return this.#begun[0];
  }

  /** Whether a further step may begin: each stage may have one, and what a step's outputs need must be kept until they are sampled. */
  get hasRoom(): boolean {
    const first = this.#begun.findIndex(({ batch }) => batch.step.outputs.length > 0);
    return this.#begun.length < this.#stages && (first < 0 || this.#begun.length - first <= this.#keptLogits);
  }

  begin(batch: Batch): void {
    if (batch.released) void this.#runner.release(batch.released);
    const candidates = this.#runner.run(batch.step, batch.tokens);
    candidates.catch(() => {}); // which is heard when the step is waited for
    this.#begun.push({ batch, candidates });
  }

  /** Waits for a step, the first, which is none of these any more. */
  async finish(begun: Begun): Promise<Found> {
    this.#begun.shift();
    this.#awaited = begun.batch;
    try {
      return await begun.candidates;
    } finally {
      this.#awaited = null;
    }
  }

  /** Lets stages that have not begun a step leave it, if it is for nobody. */
  cancel(isForNobody: (batch: Batch) => boolean): void {
    for (const batch of [this.#awaited, ...this.#begun.map(({ batch }) => batch)]) {
      if (batch && isForNobody(batch)) this.#runner.cancel(batch.step.id);
    }
  }
}

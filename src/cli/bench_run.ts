/** Runs prompts through an engine and keeps what their steps took. */
import type { StepReport } from "../mod.ts";
import type { Engine } from "./host.ts";

/** `batch` sequences of `promptTokens` tokens each that decode `genTokens` steps together. */
export interface Combination {
  readonly promptTokens: number;
  readonly batch: number;
  readonly genTokens: number;
}

export interface Samples {
  /** The steps of each prompt. */
  readonly prefills: readonly (readonly StepReport[])[];
  /** Steps that give a token for each sequence: one of all, or several of a part where not all decode in one step. */
  readonly decodes: readonly (readonly StepReport[])[];
}

/** Hands an engine's steps to whoever measures at the time. */
export class StepLog {
  listener: (report: StepReport) => void = () => {};
  readonly hear = (report: StepReport): void => this.listener(report);
}

/** Tokens to generate at most, and positions to have: sequences decode until the last one has read its prompt and all are measured. */
export function tokensNeeded({ promptTokens, batch, genTokens }: Combination, chunkRows: number): number {
  const before = batch * Math.ceil(promptTokens / chunkRows);
  return before + genTokens + ABORT_STEPS;
}

/** Steps that may pass until the engine hears that it is enough. */
const ABORT_STEPS = 128;

/** By then nothing is under way any more of sequences that were left, whose last steps nobody waits for. */
const SETTLE_MILLIS = 200;

/** Throws RangeError if the context is too short for all sequences to decode together for so long. */
export async function measure(
  engine: Engine,
  log: StepLog,
  combination: Combination,
  chunkRows: number,
  signal: AbortSignal,
): Promise<Samples> {
  const { promptTokens, batch, genTokens } = combination;
  const enough = new AbortController();
  const collector = new Collector(combination);
  log.listener = (report) => {
    collector.add(report);
    if (collector.decodes.length >= genTokens) enough.abort();
  };
  const either = AbortSignal.any([signal, enough.signal]);
  const maxTokens = tokensNeeded(combination, chunkRows);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MILLIS));
  await Promise.all(Array.from({ length: batch }, async (_, i) => {
    const generation = engine.generate(
      { ...REQUEST, prompt: promptOf(promptTokens, i, engine.info.vocabulary), maxTokens, sampling: sampling(i) },
      either,
    );
    await Array.fromAsync(generation);
  }));
  log.listener = () => {};
  signal.throwIfAborted();
  if (collector.decodes.length >= genTokens) return collector;
  throw new RangeError(
    `Cannot measure ${batch} sequences of ${promptTokens} + ${genTokens} tokens: they decoded ${collector.decodes.length} ` +
      `steps together before the context of ${engine.info.context} ended; raise --max-context`,
  );
}

const REQUEST = { stopTokens: [], logprobs: null, thinking: null } as const;

/** As in use: a draw from the candidates; other seeds keep sequences from becoming one. */
const sampling = (seed: number) => ({
  ...{ temperature: 1, topK: 40, topP: 1, minP: 0, repetitionPenalty: 1 },
  ...{ presencePenalty: 0, frequencyPenalty: 0, logitBias: [], seed },
});

/** Scattered token ids, other ones for each sequence. */
function promptOf(length: number, sequence: number, vocabulary: number): Uint32Array {
  return Uint32Array.from({ length }, (_, i) => (Math.imul(i + 1 + sequence * length, 0x9e3779b1) >>> 0) % vocabulary);
}

class Collector implements Samples {
  readonly prefills: StepReport[][] = [];
  readonly decodes: StepReport[][] = [];
  #round: StepReport[] = [];
  readonly #begun = new Map<number, StepReport[]>(); // by slot
  readonly #combination: Combination;

  constructor(combination: Combination) {
    this.#combination = combination;
  }

  /** What still runs of sequences before these is left out. */
  add(report: StepReport): void {
    const { promptTokens, batch } = this.#combination;
    const [{ slot, start, rows }] = report.segments as [StepReport["segments"][number]];
    if (this.prefills.length === batch) return this.#addDecode(report);
    const steps = start === 0 ? [] : this.#begun.get(slot);
    if (!steps || start >= promptTokens) return;
    steps.push(report);
    this.#begun.set(slot, steps);
    if (start + rows === promptTokens) this.prefills.push(steps);
  }

  #addDecode(report: StepReport): void {
    const { batch, genTokens } = this.#combination;
    this.#round.push(report);
    if (this.#round.reduce((sum, { segments }) => sum + segments.length, 0) < batch) return;
    if (this.decodes.length < genTokens) this.decodes.push(this.#round);
    this.#round = [];
  }
}

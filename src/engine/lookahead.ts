/** Lets the device go on for some steps by itself, and takes of them what the sampler draws too. */
import { type Draw, MOST_AHEAD, MOST_STEPS, type Step } from "../pipeline/steps.ts";
import type { EngineFinish } from "../pipeline/requests.ts";
import type { Batch } from "./batch.ts";
import type { Advanced } from "./generate_task.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Sequence } from "./sequence.ts";
import type { StepOutputs } from "./step_outputs.ts";

/** Milliseconds of a chain at most. Who comes or leaves waits until it, and one that follows it, are over. */
const MOST_MILLIS = 25;

/** The same where chains follow each other and a step takes long, as those of many sequences do: no longer than a chunk of a prompt. */
const MOST_MILLIS_OF_LONG = 60;
const LONG_MILLIS = 5;

/** Tokens after which a sequence may go on again of which a draw was another. */
const PAUSE = 64;

/** What a sequence that decodes brings to it. */
export interface Predictable {
  readonly sequence: Sequence;
  /** How the next tokens will be drawn, behind some that are being computed, as far as that is known and no more than `most` of them. */
  draws(most: number, behind: number): readonly Draw[];
  /** Takes the next token from an output row. */
  advance(outputs: StepOutputs, row: number): Advanced | Promise<Advanced>;
}

export class Lookahead {
  readonly #scheduler: Pick<Scheduler, "takeAhead" | "following">;
  readonly #snapshots: number;
  readonly #follow: boolean;
  readonly #paused = new WeakMap<Sequence, number>(); // until it has so many tokens

  /** Snapshots from 0 on hold the states before chains, which may `follow` each other; none where the stages do not allow them. */
  constructor(scheduler: Pick<Scheduler, "takeAhead" | "following">, snapshots: number, follow: boolean) {
    this.#scheduler = scheduler;
    this.#snapshots = snapshots;
    this.#follow = follow;
  }

  /** Makes a chain of a step in which all these sequences decode, and which takes `stepMillis`; leaves it as it is where that cannot be. */
  chained(batch: Batch, sequences: readonly Predictable[], stepMillis: number): Batch {
    const draws = this.draws(sequences, stepMillis);
    if (draws.length === 0 || !this.#scheduler.takeAhead(batch.step, draws.length)) return batch;
    return withDraws(batch, draws, 0);
  }

  /**
   * The chain behind one that is under way: the sampler will draw what the device draws, nearly always. Null where that cannot be.
   */
  following(batch: Batch, sequences: readonly Predictable[], stepMillis: number): Batch | null {
    const { draws: before, segments } = batch.step;
    const count = segments.length;
    if (!this.#follow || !before || 2 * count > this.#snapshots) return null;
    const draws = this.draws(sequences, stepMillis, before.length);
    if (draws.length === 0) return null;
    const next = this.#scheduler.following(batch, draws.length);
    return next && withDraws(next, draws, segments[0]!.before === 0 ? count : 0);
  }

  /** The draws of a chain, [steps, R], behind some tokens that are not known yet; none where it would have less than two steps. */
  draws(sequences: readonly Predictable[], stepMillis: number, behind = 0): NonNullable<Step["draws"]> {
    if (sequences.length > Math.min(MOST_AHEAD, this.#snapshots)) return [];
    const most = this.#follow && stepMillis > LONG_MILLIS ? MOST_MILLIS_OF_LONG : MOST_MILLIS;
    let steps = Math.min(MOST_STEPS, Math.floor(most / stepMillis));
    const all: (readonly Draw[])[] = [];
    for (const predictable of sequences) {
      const { sequence } = predictable;
      if (steps < 2 || sequence.length + behind < (this.#paused.get(sequence) ?? 0)) return [];
      const draws = predictable.draws(steps, behind);
      all.push(draws);
      steps = draws.length;
    }
    return steps < 2 ? [] : Array.from({ length: steps }, (_, i) => all.map((draws) => draws[i]!));
  }

  /**
   * Takes a sequence's output of a step, and those of a chain as long as the device went on with the token that was sampled; returns why it
   * ended, null if it did not. Where another was sampled the sequence goes back, to where the chain began or to where the next one did.
   */
  async take(task: Omit<Predictable, "draws">, outputs: StepOutputs, row: number): Promise<EngineFinish | null> {
    const { sequence } = task;
    const start = sequence.computed - 1;
    for (let at = row; at < outputs.count; at += outputs.perStep) {
      const advanced = task.advance(outputs, at);
      const finish = advanced instanceof Promise ? await advanced : advanced;
      if (finish && finish !== "unknown") return finish;
      const drawn = outputs.drawn(at);
      if (drawn === undefined) break;
      if (sequence.pending !== 1 || sequence.at(sequence.computed) !== drawn) {
        const isLast = at + outputs.perStep >= outputs.count && finish === null;
        if (isLast) sequence.rewind(sequence.computed, outputs.nextBefore(row));
        else sequence.rewind(start, outputs.before(row));
        this.#paused.set(sequence, sequence.length + PAUSE);
        break;
      }
      sequence.took();
    }
    return null;
  }
}

/** Keeps the states before it in snapshots from `first` on. */
function withDraws(batch: Batch, draws: NonNullable<Step["draws"]>, first: number): Batch {
  const segments = batch.step.segments.map((segment, i) => ({ ...segment, before: first + i }));
  return { ...batch, step: { ...batch.step, segments, draws } };
}

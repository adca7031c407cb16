/** Lets the device go on for some steps by itself, and takes of them what the sampler draws too. */
import { type Draw, MOST_FURTHER_STEPS, type Step } from "../pipeline/messages.ts";
import type { Sequence } from "./sequence.ts";

/** Who comes or leaves meanwhile waits until the steps are over. */
const MOST_MILLIS = 25;

/** Tokens after which a sequence may go on again of which a draw was another. */
const PAUSE = 64;

/** What a sequence that decodes brings to it. */
export interface Predictable {
  readonly sequence: Sequence;
  /** How the next tokens will be drawn, as far as that is known and no more than `most` of them. */
  draws(most: number): readonly Draw[];
}

export class Lookahead {
  readonly #mostSequences: number;
  readonly #paused = new WeakMap<Sequence, number>(); // until it has so many tokens

  /** `mostSequences` may go on together; 0 where the stages do not allow it. */
  constructor(mostSequences: number) {
    this.#mostSequences = mostSequences;
  }

  /** The draws of the further steps that may follow one, which takes `stepMillis`, in which all these sequences decode. */
  draws(sequences: readonly Predictable[], stepMillis: number): NonNullable<Step["draws"]> {
    if (sequences.length > this.#mostSequences) return [];
    let steps = Math.min(MOST_FURTHER_STEPS, Math.floor(MOST_MILLIS / stepMillis) - 1);
    const all: (readonly Draw[])[] = [];
    for (const predictable of sequences) {
      const { sequence } = predictable;
      if (steps <= 0 || sequence.length < (this.#paused.get(sequence) ?? 0)) return [];
      const draws = predictable.draws(steps);
      all.push(draws);
      steps = draws.length;
    }
    return Array.from({ length: steps }, (_, i) => all.map((draws) => draws[i]!));
  }

  /** Notes that the device drew another token for a sequence than the sampler, or could not know it. */
  missed(sequence: Sequence): void {
    this.#paused.set(sequence, sequence.length + PAUSE);
  }
}

/** Watches over a thinking budget: a thought that has not ended by itself within it is closed. */
import type { ThinkingBudget } from "../pipeline/requests.ts";
import type { Sequence } from "./sequence.ts";

export class Thought {
  readonly #thinking: ThinkingBudget;
  #open = true;

  constructor(thinking: ThinkingBudget) {
    this.#thinking = thinking;
  }

  /** Tokens until some may have to follow. */
  left(generated: number): number {
    return this.#open ? Math.max(0, this.#thinking.budget - generated) : Infinity;
  }

  /** Tokens that must follow now; to be asked before the first token and after every one. */
  forced(sequence: Sequence, generated: number): readonly number[] {
    const { budget, end, close } = this.#thinking;
    if (!this.#open) return [];
    if (generated >= end.length && end.length > 0 && sequence.endsWith(end)) this.#open = false;
    if (!this.#open || generated < budget) return [];
    this.#open = false;
    return Array.from(close);
  }
}

/** The automaton's transitions as a table of numbers, since a walk over all tokens asks for some hundred thousand of them. */
import type { Automaton, State } from "./automaton.ts";

/** Numbers for states before they are given anew, at the next `begin`. */
const MOST = 2048;

export const NONE = -1;

export class Transitions {
  readonly #automaton: Automaton;
  readonly #numbers = new Map<State, number>();
  readonly #states: State[] = [];
  /** [states, 256] the next state's number plus 1; 0 where it was not asked for, −1 where there is none. */
  #table = new Int32Array(64 * 256);

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
  }

  get bytes(): number {
    return this.#table.byteLength;
  }

  /** The number of a state from which a walk begins. Numbers hold until the next call. */
  begin(state: State): number {
    if (this.#states.length > MOST) {
      this.#numbers.clear();
      this.#states.length = 0;
      this.#table.fill(0);
    }
    return this.#number(state);
  }

  /** The number of the state after a byte, or `NONE`. */
  step(from: number, byte: number): number {
    const known = this.#table[from * 256 + byte]!;
    return known > 0 ? known - 1 : known < 0 ? NONE : this.#ask(from, byte);
  }

  /** Whether a text may be over in a state. */
  accepts(number: number): boolean {
    return this.#states[number]!.accepting;
  }

  #ask(from: number, byte: number): number {
    const state = this.#automaton.step(this.#states[from]!, byte);
    const number = state === null ? NONE : this.#number(state);
    this.#table[from * 256 + byte] = number < 0 ? -1 : number + 1;
    return number;
  }

  #number(state: State): number {
    const known = this.#numbers.get(state);
    if (known !== undefined) return known;
    const number = this.#states.push(state) - 1;
    this.#numbers.set(state, number);
    if (this.#states.length * 256 > this.#table.length) {
      const table = new Int32Array(2 * this.#table.length);
      table.set(this.#table);
      this.#table = table;
    }
    return number;
  }
}

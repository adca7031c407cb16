/** A grammar as an automaton over bytes, made while it is walked: a state is a set of stacks, equal ones are the same object. */
import type { Expression, Grammar } from "../pipeline/requests.ts";
import { GrammarError } from "./grammar_error.ts";

/** What is left of a rule: an expression and what follows it. */
export interface Rest {
  readonly id: number;
  readonly expression: Expression;
  readonly next: Rest | null;
  /** [256] the bytes that the expression takes, if it is of one byte. */
  readonly takes: Uint8Array | null;
  /** The same with its counts cut to what so many bytes can reach, as far as it was asked for. */
  readonly cut: Map<number, Rest>;
}

/** What is left of a rule, and of those that called it. */
export interface Stack {
  readonly id: number;
  readonly rest: Rest;
  readonly below: Stack | null;
}

/** Where a text may have come to. */
export interface State {
  /** All of them read a byte next. */
  readonly stacks: readonly Stack[];
  /** The text may end here. */
  readonly accepting: boolean;
  /** By byte, as far as they were asked for; null where the byte cannot follow. */
  readonly next: (State | null | undefined)[];
  /** By the stacks that take the byte: most bytes of a text are taken by the same. */
  readonly after: Map<string, State | null>;
}

/** Stacks of a state: so many ways to read one text show an ambiguity without bounds. */
const MOST_STACKS = 4096;
/** What is kept at most before all is begun anew, counted in rests and stacks, of which a state's table takes the memory of so many. */
const MOST_KEPT = 200_000;
const STATE = 16;
/** About what each takes, measured on choices of 2,000 texts. */
const KEPT_BYTES = 384;
/** Stacks that are opened for one token at most, half a second's work; usual schemas take up to a third of it, once. */
const MOST_WORK = 200_000;

export class Automaton {
  readonly #rules: readonly Expression[];
  readonly #repeats = new Map<Expression, Map<string, Expression>>();
  readonly #literals = new Map<Expression, readonly Expression[]>();
  readonly #rests = new Map<Rest | null, Map<Expression, Rest>>(); // by what follows
  readonly #stacks = new Map<Stack | null, Map<Rest, Stack>>(); // by what is below
  readonly #states = new Map<string, State>();
  #ids = 0; // never given twice, so that what is held stays valid when all is forgotten
  #kept = 0;
  #work = 0;

  constructor(grammar: Grammar) {
    this.#rules = grammar.rules;
  }

  /** About what is kept takes. */
  get bytes(): number {
    return this.#kept * KEPT_BYTES;
  }

  /** The work for another token begins. */
  rest(): void {
    this.#work = 0;
  }

  /** Nothing was read. */
  start(): State {
    return this.#close([this.#stack(this.#rest(this.#rules[0]!, null), null)]);
  }

  /**
   * The state after one byte more; null if it cannot follow.
   * @throws GrammarError if it could be read in too many ways.
   */
  step(state: State, byte: number): State | null {
    const known = state.next[byte];
    if (known !== undefined) return known;
    const taking = state.stacks.filter(({ rest }) => rest.takes![byte]);
    const key = taking.map(({ id }) => id).join();
    let after = state.after.get(key);
    if (after === undefined) {
      after = taking.length === 0 ? null : this.#close(taking.map(({ rest, below }) => this.#pop(rest.next, below)));
      state.after.set(key, after);
    }
    return state.next[byte] = after;
  }

  /** Where what lies below these rests begins again once they are over. */
  after(below: Stack): State {
    return this.#close([below]);
  }

  /**
   * The rests by themselves, as if nothing had called them: it accepts where they are over. No more than `longest` bytes will be read,
   * and counts beyond are not told apart.
   */
  within(rests: readonly Rest[], longest: number): State {
    return this.#close(rests.map((rest) => this.#stack(this.#cut(rest, longest), null)));
  }

  #forget(): void {
    this.#kept = 0;
    for (const map of [this.#repeats, this.#literals, this.#rests, this.#stacks, this.#states]) {
      map.clear();
    }
  }

  /** Opens the stacks up to where each reads a byte. Null is a text that is over. */
  #close(open: (Stack | null)[]): State {
    if (this.#kept > MOST_KEPT) this.#forget();
    const seen = new Set<Stack>();
    const reading: Stack[] = [];
    let accepting = false;
    for (let stack = open.pop(); stack !== undefined; stack = open.pop()) {
      if (stack === null) {
        accepting = true;
      } else if (!seen.has(stack)) {
        seen.add(stack);
        if (stack.rest.takes) reading.push(stack);
        else this.#open(stack, open);
      }
      if (reading.length > MOST_STACKS || ++this.#work > MOST_WORK) {
        throw new GrammarError(
          "Cannot follow the answer's grammar in so many ways at once: use a schema with fewer choices",
        );
      }
    }
    reading.sort((a, b) => a.id - b.id);
    const key = `${accepting}${reading.map(({ id }) => id).join()}`;
    const make = () => ({ stacks: reading, accepting, next: new Array(256), after: new Map() });
    return this.#once(this.#states, key, STATE, make);
  }

  /** Puts what a stack may go on with into `open`. */
  #open({ rest: { expression, next }, below }: Stack, open: (Stack | null)[]): void {
    switch (expression.type) {
      case "literal":
        open.push(this.#pop(this.#chain(this.#bytesOf(expression), next), below));
        break;
      case "sequence":
        open.push(this.#pop(this.#chain(expression.parts, next), below));
        break;
      case "choice":
        for (const option of expression.options) open.push(this.#stack(this.#rest(option, next), below));
        break;
      case "repeat": {
        const { body, least, most } = expression;
        if (least === 0) open.push(this.#pop(next, below));
        if (most === 0) break;
        const again = this.#repeat(body, Math.max(0, least - 1), most - 1);
        open.push(this.#stack(this.#rest(body, this.#rest(again, next)), below));
        break;
      }
      case "call": {
        const rule = this.#rest(this.#rules[expression.rule]!, null);
        open.push(this.#stack(rule, this.#pop(next, below)));
      }
    }
  }

  #pop(next: Rest | null, below: Stack | null): Stack | null {
    return next === null ? below : this.#stack(next, below);
  }

  #chain(parts: readonly Expression[], next: Rest | null): Rest | null {
    return parts.reduceRight<Rest | null>((rest, part) => this.#rest(part, rest), next);
  }

  #cut(rest: Rest, far: number): Rest {
    let cut = rest.cut.get(far);
    if (cut) return cut;
    const next = rest.next && this.#cut(rest.next, far);
    const { expression } = rest;
    if (expression.type === "repeat") {
      const { body, least, most } = expression;
      cut = this.#rest(this.#repeat(body, Math.min(least, far), most < far ? most : Infinity), next);
    } else {
      cut = this.#rest(expression, next);
    }
    rest.cut.set(far, cut);
    return cut;
  }

  #bytesOf(literal: Extract<Expression, { type: "literal" }>): readonly Expression[] {
    let bytes = this.#literals.get(literal);
    if (!bytes) this.#literals.set(literal, bytes = Array.from(new TextEncoder().encode(literal.text), single));
    return bytes;
  }

  #repeat(body: Expression, least: number, most: number): Expression {
    const key = `${least} ${most}`;
    return this.#once(within(this.#repeats, body), key, 1, () => ({ type: "repeat", body, least, most }));
  }

  #rest(expression: Expression, next: Rest | null): Rest {
    const make = (id: number) => ({ id, expression, next, takes: takenBy(expression), cut: new Map() });
    return this.#once(within(this.#rests, next), expression, 1, make);
  }

  #stack(rest: Rest, below: Stack | null): Stack {
    return this.#once(within(this.#stacks, below), rest, 1, (id) => ({ id, rest, below }));
  }

  /** What `make` makes, the same for the same key; `size` is what it adds to what is kept. */
  #once<K, V>(map: Map<K, V>, key: K, size: number, make: (id: number) => V): V {
    let value = map.get(key);
    if (value === undefined) {
      map.set(key, value = make(this.#ids++));
      this.#kept += size;
    }
    return value;
  }
}

/** The map behind a key, empty at first. */
function within<A, B, V>(maps: Map<A, Map<B, V>>, key: A): Map<B, V> {
  let map = maps.get(key);
  if (!map) maps.set(key, map = new Map());
  return map;
}

const SINGLES: readonly Expression[] = Array.from(
  { length: 256 },
  (_, byte) => ({ type: "byte", ranges: [[byte, byte]] }),
);
const single = (byte: number): Expression => SINGLES[byte]!;

const taken = new WeakMap<Expression, Uint8Array>();

function takenBy(expression: Expression): Uint8Array | null {
  if (expression.type !== "byte") return null;
  let takes = taken.get(expression);
  if (!takes) {
    taken.set(expression, takes = new Uint8Array(256));
    for (const [first, last] of expression.ranges) takes.fill(1, first, last + 1);
  }
  return takes;
}

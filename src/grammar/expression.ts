/** How expressions are made, and rules collected to a grammar. */
import type { Expression, Grammar } from "../pipeline/requests.ts";
import { checkProgress, prune } from "./prune.ts";

export const EMPTY: Expression = { type: "sequence", parts: [] };
/** Nothing fits it, not even the empty text. */
export const NEVER: Expression = { type: "choice", options: [] };

export const literal = (text: string): Expression => ({ type: "literal", text });
export const byte = (...ranges: (readonly [number, number])[]): Expression => ({ type: "byte", ranges });
export const sequence = (...parts: Expression[]): Expression => ({ type: "sequence", parts });
export const optional = (body: Expression): Expression => choice(body, EMPTY);

export function choice(...options: Expression[]): Expression {
  return options.length === 1 ? options[0]! : { type: "choice", options };
}

export function repeat(body: Expression, least = 0, most = Infinity): Expression {
  return { type: "repeat", body, least, most };
}

/** Rules of a grammar: schemas of several hundred properties have a few thousand. */
const MOST_RULES = 20_000;

/** The rules of a grammar as they come; they may call each other before they are written. */
export class Rules {
  readonly #rules: Expression[] = [NEVER];
  readonly #named = new Map<unknown, Expression>();

  /** A call of the rule that `write` makes. */
  add(write: () => Expression): Expression {
    return this.#add(write, () => {});
  }

  /** The same call for the same key, also while its rule is being written. */
  named(key: unknown, write: () => Expression): Expression {
    return this.#named.get(key) ?? this.#add(write, (call) => this.#named.set(key, call));
  }

  /** @throws RangeError if nothing fits the grammar, or a rule calls itself before it has read a byte. */
  grammar(key: string, start: Expression): Grammar {
    const rules = prune([start, ...this.#rules.slice(1)]);
    checkProgress(rules);
    return { key, rules };
  }

  #add(write: () => Expression, announce: (call: Expression) => void): Expression {
    if (this.#rules.length >= MOST_RULES) {
      throw new RangeError(`Cannot compile a grammar of more than ${MOST_RULES} rules: use a smaller schema`);
    }
    const rule = this.#rules.push(NEVER) - 1;
    const call: Expression = { type: "call", rule };
    announce(call);
    this.#rules[rule] = write();
    return call;
  }
}

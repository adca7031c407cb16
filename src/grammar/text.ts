/** Free text around what is held to a grammar. */
import type { Expression } from "../pipeline/requests.ts";
import { byte, choice, EMPTY, type Rules, sequence } from "./expression.ts";

const utf8 = new TextEncoder();

/** Any bytes up to the first time that `mark` occurs, with it. */
export function upTo(rules: Rules, mark: string): Expression {
  return search(rules, mark, false);
}

/** Any bytes in which `mark` does not occur. */
export function without(rules: Rules, mark: string): Expression {
  return search(rules, mark, true);
}

/** A rule for each number of the mark's bytes that were just read (Knuth, Morris, Pratt 1977). */
function search(rules: Rules, mark: string, avoided: boolean): Expression {
  const bytes = utf8.encode(mark);
  const state = (matched: number): Expression =>
    rules.named(`${avoided ? "without" : "up to"} ${mark} ${matched}`, () => {
      const ways = Map.groupBy(
        Array.from({ length: 256 }, (_, value) => value),
        (value) => after(bytes, matched, value),
      );
      const options = [...ways].map(([next, values]) => {
        const one = byte(...values.map((value) => [value, value] as const));
        if (next < bytes.length) return sequence(one, state(next));
        return avoided ? null : one;
      });
      return choice(...options.filter((option) => option !== null), ...(avoided ? [EMPTY] : []));
    });
  return state(0);
}

/** How many bytes of the mark end in `value`, if `matched` of them came before. */
function after(mark: Uint8Array, matched: number, value: number): number {
  const read = [...mark.subarray(0, matched), value];
  let length = Math.min(read.length, mark.length);
  while (!read.slice(read.length - length).every((one, i) => one === mark[i])) length--;
  return length;
}

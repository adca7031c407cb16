/** Sets of characters and their UTF-8 as expressions, never more than one way to write a character. */
import type { Expression } from "../pipeline/requests.ts";
import { byte, choice, sequence } from "./expression.ts";

/** Ranges of code points, both ends included, ascending and apart. */
export type Characters = readonly (readonly [first: number, last: number])[];

/** Every character there is: a surrogate is none. */
export const ANY: Characters = [[0, 0xd7ff], [0xe000, 0x10ffff]];

export function union(...sets: Characters[]): Characters {
  const sorted = sets.flat().toSorted((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [first, last] of sorted) {
    const before = merged.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

export function intersection(a: Characters, b: Characters): Characters {
  return union(
    a.flatMap(([first, last]) =>
      b.map(([from, to]) => [Math.max(first, from), Math.min(last, to)] as const).filter(([from, to]) => from <= to)
    ),
  );
}

/** The characters that are not in `set`. */
export function complement(set: Characters): Characters {
  const gaps: [number, number][] = [];
  let next = 0;
  for (const [first, last] of union(set)) {
    if (first > next) gaps.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= 0x10ffff) gaps.push([next, 0x10ffff]);
  return intersection(gaps, ANY);
}

export const without = (set: Characters, others: Characters): Characters => intersection(set, complement(others));
export const range = (first: string, last = first): Characters => [[first.codePointAt(0)!, last.codePointAt(0)!]];

/** One character of the set, in UTF-8. */
export function utf8(set: Characters): Expression {
  const LENGTHS: Characters = [[0, 0x7f], [0x80, 0x7ff], [0x800, 0xffff], [0x10000, 0x10ffff]];
  const options = LENGTHS.flatMap((length, i) =>
    intersection(set, [length]).flatMap(([first, last]) => ofLength(first, last, i + 1))
  );
  const single = options.filter((option) => option.length === 1).map(([range]) => range!);
  const longer = options.filter((option) => option.length > 1).map((ranges) => sequence(...ranges.map((r) => byte(r))));
  return choice(...(single.length > 0 ? [byte(...single)] : []), ...longer);
}

/** Ranges of bytes, one for each place, that together are the characters from `first` to `last`, all `length` bytes long. */
function ofLength(first: number, last: number, length: number): (readonly [number, number])[][] {
  if (length === 1) return [[[first, last]]];
  for (let place = 1; place < length; place++) {
    const rest = (1 << (6 * place)) - 1; // what the last `place` bytes hold
    if ((first & ~rest) === (last & ~rest)) continue;
    if ((first & rest) !== 0) {
      return [...ofLength(first, first | rest, length), ...ofLength((first | rest) + 1, last, length)];
    }
    if ((last & rest) !== rest) {
      return [...ofLength(first, (last & ~rest) - 1, length), ...ofLength(last & ~rest, last, length)];
    }
  }
  const [a, b] = [encode(first, length), encode(last, length)];
  return [a.map((value, i) => [value, b[i]!] as const)];
}

function encode(code: number, length: number): number[] {
  const lead = [0, 0, 0xc0, 0xe0, 0xf0][length]!;
  return Array.from({ length }, (_, i) => {
    const bits = code >> (6 * (length - 1 - i));
    return i === 0 ? lead | bits : 0x80 | (bits & 0x3f);
  });
}

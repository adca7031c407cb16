/** Numbers between bounds, digit by digit. */
import type { Expression } from "../pipeline/requests.ts";
import { byte, choice, EMPTY, literal, NEVER, repeat, sequence } from "./expression.ts";
import { digits } from "./json.ts";

/** An end of an interval; ±Infinity where it has none. */
export interface Bound {
  readonly value: number;
  readonly exclusive: boolean;
}

/** Digits of an integer without a bound: 64 bits hold nearly as many. */
const MOST_DIGITS = 19;
/** Decimal digits that a number keeps when it is read as a double. */
const EXACT_DIGITS = 15;

const digit = (first: number, last = first): Expression => first > last ? NEVER : byte([0x30 + first, 0x30 + last]);

/**
 * The integers from `least` to `most`.
 * @throws RangeError if a bound is too large to be told from its neighbours.
 */
export function integersBetween(least: Bound, most: Bound): Expression {
  const low = least.value === -Infinity ? -LARGEST : BigInt(Math.ceil(exact(least))) + onBound(least);
  const high = most.value === Infinity ? LARGEST : BigInt(Math.floor(exact(most))) - onBound(most);
  const negative = natural(high < 0n ? -high : 1n, -low);
  return choice(natural(low > 0n ? low : 0n, high), sequence(literal("-"), negative));
}

const LARGEST = 10n ** BigInt(MOST_DIGITS) - 1n;
const onBound = ({ value, exclusive }: Bound): bigint => exclusive && Number.isInteger(value) ? 1n : 0n;

function exact({ value }: Bound): number {
  if (Number.isSafeInteger(Math.trunc(value))) return value;
  throw new RangeError(`a bound of ${value} is not supported for integers: use one below 2^53`);
}

/** The integers from `low` to `high`, neither negative, without leading zeros. */
function natural(low: bigint, high: bigint): Expression {
  if (low > high) return NEVER;
  const options: Expression[] = [];
  for (let length = String(low).length; length <= String(high).length; length++) {
    const [first, last] = [length === 1 ? 0n : 10n ** BigInt(length - 1), 10n ** BigInt(length) - 1n];
    options.push(ofLength(String(low > first ? low : first), String(high < last ? high : last)));
  }
  return choice(...options);
}

/** Digits between two texts of the same length. */
function ofLength(low: string, high: string): Expression {
  if (/^0*$/.test(low) && /^9*$/.test(high)) return digits(low.length, low.length);
  const [a, b] = [Number(low[0]), Number(high[0])];
  const [lowRest, highRest] = [low.slice(1), high.slice(1)];
  if (a === b) return sequence(digit(a), ofLength(lowRest, highRest));
  return choice(
    sequence(digit(a), ofLength(lowRest, "9".repeat(lowRest.length))),
    sequence(digit(a + 1, b - 1), digits(lowRest.length, lowRest.length)),
    sequence(digit(b), ofLength("0".repeat(highRest.length), highRest)),
  );
}

/**
 * The numbers from `least` to `most`, written without an exponent.
 * @throws RangeError if a bound has too many digits.
 */
export function numbersBetween(least: Bound, most: Bound): Expression {
  const positive = realsBetween(least.value < 0 ? { value: 0, exclusive: false } : least, most);
  const mirrored = [mirror(most), mirror(least)] as const;
  const above = mirrored[0].value <= 0 ? { value: 0, exclusive: true } : mirrored[0];
  return choice(positive, sequence(literal("-"), realsBetween(above, mirrored[1])));
}

const mirror = ({ value, exclusive }: Bound): Bound => ({ value: -value, exclusive });

/** A bound as its decimal digits. */
interface Decimal {
  readonly whole: bigint;
  /** Behind the point, without zeros at the end. */
  readonly fraction: string;
  readonly exclusive: boolean;
}

function decimal({ value, exclusive }: Bound): Decimal {
  const text = String(value);
  const [whole = "", fraction = ""] = text.split(".");
  if (/^\d+(\.\d+)?$/.test(text) && whole.length + fraction.length <= EXACT_DIGITS) {
    return { whole: BigInt(whole), fraction, exclusive };
  }
  throw new RangeError(`a bound of ${value} is not supported: use one of at most ${EXACT_DIGITS} digits`);
}

/** The numbers between two bounds of which the lower one is not negative. */
function realsBetween(least: Bound, most: Bound): Expression {
  if (least.value > most.value) return NEVER;
  const low = decimal(least);
  const high = most.value === Infinity ? null : decimal(most);
  const places = high ? placesOf(high.whole) : EXACT_DIGITS; // far above a bound it does not matter how they are rounded
  const mayBeLow = low.fraction === "" && !low.exclusive;
  const mayBeHigh = high !== null && (high.fraction !== "" || !high.exclusive);
  if (low.whole === high?.whole) {
    return sequence(literal(String(low.whole)), pointed(mayBeLow && mayBeHigh, within(low, high, places, 1)));
  }
  const lowest = atLeast(low.fraction, low.exclusive, placesOf(low.whole), 1);
  const between = natural(low.whole + 1n, high ? high.whole - 1n : LARGEST);
  return choice(
    sequence(literal(String(low.whole)), pointed(mayBeLow, lowest)),
    sequence(between, pointed(true, digits(1, places))),
    high
      ? sequence(literal(String(high.whole)), pointed(mayBeHigh, atMost(high.fraction, high.exclusive, places, 1)))
      : NEVER,
  );
}

/** Digits behind the point with which two numbers can still be told apart. */
const placesOf = (whole: bigint): number => Math.max(1, EXACT_DIGITS - String(whole).length);

const pointed = (mayLack: boolean, fraction: Expression): Expression => {
  const some = sequence(literal("."), fraction);
  return mayLack ? choice(EMPTY, some) : some;
};

/** At most `places` digits, at least `first`, that are a fraction from `low` up. */
function atLeast(low: string, exclusive: boolean, places: number, first: number): Expression {
  if (places <= 0) return low === "" && !exclusive ? EMPTY : NEVER;
  if (low === "" && !exclusive) return digits(first, places);
  if (low === "") {
    const zeros = Math.floor((places - 1) / 2);
    return sequence(repeat(digit(0), 0, zeros), digit(1, 9), digits(0, places - 1 - zeros));
  }
  const next = Number(low[0]);
  return choice(
    sequence(digit(next + 1, 9), digits(0, places - 1)),
    sequence(digit(next), atLeast(low.slice(1), exclusive, places - 1, 0)),
  );
}

/** The same up to `high`. */
function atMost(high: string, exclusive: boolean, places: number, first: number): Expression {
  if (high === "") return exclusive ? NEVER : repeat(digit(0), first, Math.max(first, places));
  if (places <= 0) return EMPTY;
  const next = Number(high[0]);
  const rest = atMost(high.slice(1), exclusive, places - 1, 0);
  return choice(
    sequence(digit(0, next - 1), digits(0, places - 1)),
    sequence(digit(next), high.length > 1 ? choice(EMPTY, rest) : rest),
  );
}

type End = Pick<Decimal, "fraction" | "exclusive">;

/** The same between two fractions. */
function within(low: End, high: End, places: number, first: number): Expression {
  if (low.fraction === "" && !low.exclusive) return atMost(high.fraction, high.exclusive, places, first);
  if (high.fraction === "" || places <= 0) return NEVER;
  const [a, b] = [Number(low.fraction[0] ?? 0), Number(high.fraction[0])];
  const lowRest = { ...low, fraction: low.fraction.slice(1) };
  const highRest = { ...high, fraction: high.fraction.slice(1) };
  const mayEnd = highRest.fraction !== "" || !highRest.exclusive;
  if (a > b) return NEVER;
  if (a === b) return sequence(digit(a), within(lowRest, highRest, places - 1, 0));
  const top = atMost(highRest.fraction, highRest.exclusive, places - 1, 0);
  return choice(
    sequence(digit(a), atLeast(lowRest.fraction, lowRest.exclusive, places - 1, 0)),
    sequence(digit(a + 1, b - 1), digits(0, places - 1)),
    sequence(digit(b), mayEnd ? choice(EMPTY, top) : top),
  );
}

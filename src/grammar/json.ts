/** JSON as models write it: on one line, at most one space behind a comma or a colon. */
import type { Expression } from "../pipeline/requests.ts";
import { ANY, type Characters, intersection, range, union, utf8, without } from "./characters.ts";
import { byte, choice, EMPTY, literal, optional, repeat, type Rules, sequence } from "./expression.ts";

const SPACE = optional(literal(" "));
export const COMMA = sequence(literal(","), SPACE);
export const COLON = sequence(literal(":"), SPACE);
const QUOTE = literal('"');

/** What a string may hold as it is; the others must be escaped. */
const PLAIN: Characters = without(ANY, union([[0, 0x1f]], range('"'), range("\\")));

const SHORT: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "\b": "b",
  "\f": "f",
  "\n": "n",
  "\r": "r",
  "\t": "t",
};

const HEX = byte([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]);
const hex = (count: number) => repeat(HEX, count, count);
const letter = (letters: string) => byte(...[...letters].map((one) => [one.charCodeAt(0), one.charCodeAt(0)] as const));
// \u of a surrogate only as a pair, high before low, so that the text is well-formed.
const UNICODE = choice(
  sequence(letter("0123456789abcefABCEF"), hex(3)),
  sequence(letter("dD"), letter("01234567"), hex(2)),
  sequence(letter("dD"), letter("89abAB"), hex(2), literal("\\u"), letter("dD"), letter("cdefCDEF"), hex(2)),
);
const ESCAPE = sequence(literal("\\"), choice(letter('"\\/bfnrt'), sequence(literal("u"), UNICODE)));

/** One character of a string, in any way to write it. */
const CHARACTER = choice(utf8(PLAIN), ESCAPE);

/** One character of the set inside a string, in the one usual way to write it. */
export function character(set: Characters): Expression {
  const plain = intersection(set, PLAIN);
  const codes = without(set, PLAIN).flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i)
  );
  const short = codes.map((code) => SHORT[String.fromCharCode(code)]).filter((one) => one !== undefined);
  const others = codes.filter((code) => SHORT[String.fromCharCode(code)] === undefined);
  const escapes = [
    ...(short.length > 0 ? [letter(short.join(""))] : []),
    ...[0, 1].map((high) =>
      sequence(literal(`u00${high}`), letter(others.filter((c) => c >> 4 === high).map(lowDigit).join("")))
    ),
  ];
  return choice(
    ...(plain.length > 0 ? [utf8(plain)] : []),
    ...(codes.length > 0 ? [sequence(literal("\\"), choice(...escapes))] : []),
  );
}

const lowDigit = (code: number): string => (code & 15).toString(16);

/** A string around `body`. */
export const quoted = (body: Expression): Expression => sequence(QUOTE, body, QUOTE);

/** A string of so many characters, code points as JSON Schema counts them. */
export function string(rules: Rules, least = 0, most = Infinity): Expression {
  return rules.named(`string ${least} ${most}`, () => quoted(repeat(CHARACTER, least, most)));
}

const DIGIT = byte([0x30, 0x39]);
const NONZERO = byte([0x31, 0x39]);
export const digits = (least: number, most: number): Expression => repeat(DIGIT, least, most);

// Longer ones would only lose digits when read, or become infinite.
const INTEGER = sequence(optional(literal("-")), choice(literal("0"), sequence(NONZERO, digits(0, 18))));
const NUMBER = sequence(
  INTEGER,
  optional(sequence(literal("."), digits(1, 18))),
  optional(sequence(letter("eE"), optional(letter("+-")), digits(1, 2))),
);

export const integer = (rules: Rules): Expression => rules.named("integer", () => INTEGER);
export const number = (rules: Rules): Expression => rules.named("number", () => NUMBER);
export const BOOLEAN = choice(literal("true"), literal("false"));
export const NULL = literal("null");

/** Any value. */
export function value(rules: Rules): Expression {
  return rules.named("value", () => choice(string(rules), number(rules), BOOLEAN, NULL, object(rules), array(rules)));
}

/** Any object. */
export function object(rules: Rules): Expression {
  return rules.named("object", () => {
    const member = sequence(string(rules), COLON, value(rules));
    return listed("{", member, "}", 0, Infinity);
  });
}

function array(rules: Rules): Expression {
  return rules.named("array", () => listed("[", value(rules), "]", 0, Infinity));
}

/** Between brackets so many of one kind. */
export function listed(open: string, one: Expression, close: string, least: number, most: number): Expression {
  const some = sequence(one, repeat(sequence(COMMA, one), Math.max(0, least - 1), most - 1));
  const inside = most === 0 ? EMPTY : least === 0 ? optional(some) : some;
  return sequence(literal(open), inside, literal(close));
}

/** Exactly this value, whatever the spaces. */
export function exactly(value: unknown): Expression {
  if (Array.isArray(value)) return bracketed("[", value.map(exactly), "]");
  if (typeof value !== "object" || value === null) return literal(JSON.stringify(value));
  const members = Object.entries(value).map(([key, item]) =>
    sequence(literal(JSON.stringify(key)), COLON, exactly(item))
  );
  return bracketed("{", members, "}");
}

function bracketed(open: string, parts: readonly Expression[], close: string): Expression {
  const inside = parts.flatMap((part, i) => i === 0 ? [part] : [COMMA, part]);
  return sequence(literal(open), ...inside, literal(close));
}

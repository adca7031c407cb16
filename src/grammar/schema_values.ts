/** What several schemas that hold together say of a string, a number or a list of values. */
import type { Expression } from "../pipeline/requests.ts";
import { NEVER, repeat, type Rules } from "./expression.ts";
import { FORMATS } from "./formats.ts";
import { character, integer, number, quoted, string } from "./json.ts";
import { type Bound, integersBetween, numbersBetween } from "./number_range.ts";
import { parsePattern } from "./pattern.ts";
import { type Keywords, type Part, refuse, shown, type Type, TYPES } from "./schema_parts.ts";

/** Values of one `enum`. */
const MOST_VALUES = 2000;

/** What the parts say with one keyword, each once. */
export function said<T>(parts: readonly Part[], keyword: string): T[] {
  const values = parts.map(({ keywords }) => keywords?.[keyword]).filter((value) => value !== undefined);
  return [...new Set(values)] as T[];
}

export const largest = (parts: readonly Part[], keyword: string, least: number): number =>
  Math.max(least, ...said<number>(parts, keyword));
export const smallest = (parts: readonly Part[], keyword: string, most: number): number =>
  Math.min(most, ...said<number>(parts, keyword));

/** The values that are left where some are listed, by `enum` or `const`; null where none are. */
export function listedValues(parts: readonly Part[], path: string): unknown[] | null {
  const lists = parts.flatMap(({ keywords }) => listsOf(keywords!));
  if (lists.length === 0) return null;
  if (lists.some((list) => list.length > MOST_VALUES)) refuse(`an enum of more than ${MOST_VALUES} values is`, path);
  for (const { keywords } of parts) {
    const other = Object.keys(keywords!).find((name) => !["enum", "const", "type"].includes(name));
    if (other) refuse(`${shown(other)} beside enum or const is`, path);
  }
  const [first, ...others] = lists.map((list) => new Map(list.map((value) => [canonical(value), value])));
  const kept = [...first!].filter(([key]) => others.every((list) => list.has(key))).map(([, value]) => value);
  const types = typesOf(parts);
  return kept.filter((value) => types.some((type) => isOf(value, type)));
}

function listsOf(keywords: Keywords): unknown[][] {
  return [
    ...(keywords.enum === undefined ? [] : [keywords.enum as unknown[]]),
    ...("const" in keywords ? [[keywords.const]] : []),
  ];
}

/** The same text for equal values, whatever the order of their members. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => a < b ? -1 : 1));
  });
}

function isOf(value: unknown, type: Type): boolean {
  if (type === "integer") return Number.isInteger(value);
  return typeOf(value) === type;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

/** The types that all parts allow: those that they name, or else the one that all their keywords are about. */
export function typesOf(parts: readonly Part[]): readonly Type[] {
  const named = said<Type | Type[]>(parts, "type").map((types) => [types].flat());
  if (named.length > 0) {
    const allows = (types: readonly Type[], type: Type) =>
      types.includes(type) || (type === "integer" && types.includes("number"));
    const all = TYPES.filter((type) => named.every((types) => allows(types, type)));
    return all.filter((type) => type !== "integer" || !all.includes("number"));
  }
  const names = new Set(parts.flatMap(({ keywords }) => Object.keys(keywords!)));
  const about = (Object.keys(ABOUT) as (keyof typeof ABOUT)[]).filter((type) =>
    ABOUT[type].some((one) => names.has(one))
  );
  return about.length === 1 ? about : TYPES.filter((type) => type !== "integer");
}

const ABOUT = {
  object: ["properties", "required", "additionalProperties", "minProperties", "maxProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems"],
  string: ["minLength", "maxLength", "pattern", "format"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
} as const;

export function stringOf(rules: Rules, parts: readonly Part[], path: string): Expression {
  const [least, most] = [largest(parts, "minLength", 0), smallest(parts, "maxLength", Infinity)];
  const patterns = [
    ...said<string>(parts, "pattern"),
    ...said<string>(parts, "format").map((name) => formatOf(name, path)),
  ];
  if (least > most) return NEVER;
  if (patterns.length === 0) return string(rules, least, most);
  if (patterns.length > 1) refuse("more than one pattern or format for a string is", path);
  const pattern = parsed(patterns[0]!, path);
  if (least <= pattern.least && pattern.most <= most) return quoted(pattern.expression);
  if (!pattern.repeats) refuse("minLength or maxLength beside such a pattern or format is", path);
  const [from, to] = [Math.max(least, pattern.least), Math.min(most, pattern.most)];
  return from > to ? NEVER : quoted(repeat(character(pattern.repeats), from, to));
}

function formatOf(name: string, path: string): string {
  return FORMATS.get(name) ?? refuse(`the format ${shown(name)} is`, path);
}

function parsed(source: string, path: string): ReturnType<typeof parsePattern> {
  try {
    return parsePattern(source);
  } catch (error) {
    throw new RangeError(
      `Cannot use the schema as its pattern ${shown(source)} cannot be used at ${path}: ${reason(error)}`,
    );
  }
}

export function numberOf(rules: Rules, parts: readonly Part[], type: "integer" | "number", path: string): Expression {
  const least = tightest(parts, "minimum", "exclusiveMinimum", 1);
  const most = tightest(parts, "maximum", "exclusiveMaximum", -1);
  const integers = type === "integer";
  if (least.value === -Infinity && most.value === Infinity) return integers ? integer(rules) : number(rules);
  try {
    return integers ? integersBetween(least, most) : numbersBetween(least, most);
  } catch (error) {
    throw new RangeError(`Cannot use the schema as at ${path} ${reason(error)}`);
  }
}

/** The bound that leaves least: `sign` is 1 for lower bounds, −1 for upper ones. */
function tightest(parts: readonly Part[], inclusive: string, exclusive: string, sign: 1 | -1): Bound {
  const bounds: Bound[] = [
    ...said<number>(parts, inclusive).map((value) => ({ value, exclusive: false })),
    ...said<number>(parts, exclusive).map((value) => ({ value, exclusive: true })),
  ];
  return bounds.reduce((best, bound) => {
    const closer = (bound.value - best.value) * sign;
    return closer > 0 || (closer === 0 && bound.exclusive) ? bound : best;
  }, { value: -Infinity * sign, exclusive: false });
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

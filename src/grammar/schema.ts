/** Compiles a JSON Schema to the texts of the values that it allows, or refuses by name what it cannot hold an answer to. */
import type { Expression } from "../pipeline/requests.ts";
import { choice, EMPTY, literal, NEVER, optional, repeat, type Rules, sequence } from "./expression.ts";
import { BOOLEAN, COLON, COMMA, exactly, listed, NULL, value } from "./json.ts";
import { otherKeys } from "./other_keys.ts";
import { disjoint } from "./schema_disjoint.ts";
import { MOST_DEPTH, type Part, refuse, SchemaParts, type Type } from "./schema_parts.ts";
import { largest, listedValues, numberOf, smallest, stringOf, typesOf } from "./schema_values.ts";

export interface SchemaOptions {
  /** Objects have no other properties than those that are named, where their schema does not say. */
  readonly strict: boolean;
}

/** Characters of a schema as JSON. */
const MOST_CHARACTERS = 256 * 1024;
/** Levels of its JSON. */
const MOST_LEVELS = 1000;
/** Named properties of an object, and places of a tuple. */
const MOST_NAMED = 1000;
/** Properties that may be missing: all that follow one another are tried side by side. */
const MOST_OPTIONAL = 200;
/** Characters of a property's name. */
const MOST_NAME = 1000;

/**
 * The texts of values that fit the schema: members in the order of `properties`, numbers without more digits than they keep when read.
 * Where several schemas would do the texts may be fewer than the schema allows, never more.
 * @throws RangeError or TypeError, with the place, for what is not supported or malformed
 */
export function schemaExpression(rules: Rules, schema: unknown, options: SchemaOptions): Expression {
  if (levels(schema) > MOST_LEVELS) throw new RangeError(`Cannot use a schema of more than ${MOST_LEVELS} levels`);
  const length = JSON.stringify(schema)?.length ?? 0;
  if (length > MOST_CHARACTERS) {
    throw new RangeError(`Cannot use a schema of ${length} characters: it may have ${MOST_CHARACTERS}`);
  }
  return new SchemaCompiler(rules, new SchemaParts(schema), options).compile([schema], "#", 0);
}

/** How deep a JSON value is, up to one more than what is allowed. */
function levels(value: unknown): number {
  let level = [value];
  let count = 0;
  while (level.length > 0 && count <= MOST_LEVELS) {
    count++;
    level = level.flatMap((one) => typeof one === "object" && one !== null ? Object.values(one) : []);
  }
  return count;
}

class SchemaCompiler {
  readonly #rules: Rules;
  readonly #schema: SchemaParts;
  readonly #strict: boolean;

  constructor(rules: Rules, schema: SchemaParts, { strict }: SchemaOptions) {
    this.#rules = rules;
    this.#schema = schema;
    this.#strict = strict;
  }

  /** Values that fit all of these schemas. */
  compile(schemas: readonly unknown[], path: string, depth: number): Expression {
    const parts = this.#schema.all(schemas, path);
    return parts === null ? NEVER : this.#together(parts, path, depth);
  }

  /** A rule for each set of parts, so that what refers to itself comes back to its own. */
  #together(parts: readonly Part[], path: string, depth: number): Expression {
    if (parts.length === 0) return value(this.#rules);
    if (depth > MOST_DEPTH) refuse(`a schema of more than ${MOST_DEPTH} levels is`, path);
    const key = `schema ${this.#strict} ${parts.map(({ id }) => id).toSorted((a, b) => a - b)}`;
    return this.#rules.named(key, () => this.#write(parts, path, depth + 1));
  }

  #write(parts: readonly Part[], path: string, depth: number): Expression {
    const chosen = parts.find(({ keywords }) => keywords === null);
    if (chosen) return this.#choices(chosen, parts.filter((part) => part !== chosen), path, depth);
    const values = listedValues(parts, path);
    if (values) return choice(...values.map(exactly));
    return choice(...typesOf(parts).map((type) => this.#ofType(type, parts, path, depth)));
  }

  #choices(
    { options, exclusive, path: where }: Part,
    others: readonly Part[],
    path: string,
    depth: number,
  ): Expression {
    const each = options.map((option, i) => this.#schema.of(option, `${where}/${exclusive ? "oneOf" : "anyOf"}/${i}`));
    if (exclusive && !disjoint(each)) {
      refuse("oneOf whose schemas may fit the same value (anyOf would do) is", where);
    }
    return choice(...each.map((parts, i) => {
      if (parts === null) return NEVER;
      return this.#together([...new Set([...others, ...parts])], options.length === 1 ? path : `${where}/${i}`, depth);
    }));
  }

  #ofType(type: Type, parts: readonly Part[], path: string, depth: number): Expression {
    switch (type) {
      case "object":
        return this.#object(parts, path, depth);
      case "array":
        return this.#array(parts, path, depth);
      case "string":
        return stringOf(this.#rules, parts, path);
      case "boolean":
        return BOOLEAN;
      case "null":
        return NULL;
      default:
        return numberOf(this.#rules, parts, type, path);
    }
  }

  #object(parts: readonly Part[], path: string, depth: number): Expression {
    const named = (part: Part) => (part.keywords!.properties ?? {}) as Record<string, unknown>;
    const required = new Set(parts.flatMap(({ keywords }) => (keywords!.required ?? []) as string[]));
    const names = [...new Set([...parts.flatMap((part) => Object.keys(named(part))), ...required])];
    if (names.length > MOST_NAMED) refuse(`an object of more than ${MOST_NAMED} properties is`, path);
    if (names.some((name) => name.length > MOST_NAME)) refuse(`a name of more than ${MOST_NAME} characters is`, path);
    if (names.length - required.size > MOST_OPTIONAL) {
      refuse(`an object of more than ${MOST_OPTIONAL} optional properties is`, path);
    }
    const closed = this.#strict && parts.every(({ keywords }) => keywords!.additionalProperties === undefined);
    const others = parts.map(({ keywords }) => keywords!.additionalProperties ?? true);
    const members = names.map((name) => ({
      optional: !required.has(name),
      member: this.#rules.add(() => {
        const schemas = parts.map((part, i) => Object.hasOwn(named(part), name) ? named(part)[name] : others[i]);
        const unnamed = closed && parts.every((part) => !Object.hasOwn(named(part), name));
        const inner = unnamed ? value(this.#rules) : this.compile(schemas, `${path}/properties/${name}`, depth);
        return sequence(exactly(name), COLON, inner);
      }),
    }));
    const other = closed || this.#schema.all(others, path) === null
      ? NEVER
      : sequence(otherKeys(this.#rules, names), COLON, this.compile(others, `${path}/additionalProperties`, depth));
    return this.#members(members, other, this.#counts(parts, required.size, names.length, other === NEVER, path));
  }

  /** How many other members there may be besides those that are named. Refuses counts that depend on which of these are there. */
  #counts(parts: readonly Part[], required: number, named: number, closed: boolean, path: string): [number, number] {
    const least = largest(parts, "minProperties", 0);
    const most = smallest(parts, "maxProperties", Infinity);
    if (least > most || required > most || (closed && least > named)) return [1, 0];
    // Other members may have the same name, and then count once.
    if (least > required && !(least === 1 && named === 0)) {
      refuse("minProperties above the number of required ones is", path);
    }
    if (named === required) return [Math.max(0, least - required), most - required];
    if (most < named || (most < Infinity && !closed)) refuse("maxProperties beside optional properties is", path);
    return [0, Infinity];
  }

  #members(
    members: readonly { readonly optional: boolean; readonly member: Expression }[],
    other: Expression,
    [least, most]: readonly [number, number],
  ): Expression {
    if (least > most) return NEVER;
    let behind = repeat(sequence(COMMA, other), least, most); // when a member came before
    let first = most === 0 ? EMPTY : sequence(other, repeat(sequence(COMMA, other), Math.max(0, least - 1), most - 1));
    if (least === 0 && most > 0) first = optional(first);
    for (const { optional, member } of members.toReversed()) {
      const [later, start] = [behind, first];
      const taken = this.#rules.add(() => sequence(member, later));
      behind = this.#rules.add(() => choice(sequence(COMMA, taken), ...(optional ? [later] : [])));
      first = this.#rules.add(() => choice(taken, ...(optional ? [start] : [])));
    }
    return sequence(literal("{"), first, literal("}"));
  }

  #array(parts: readonly Part[], path: string, depth: number): Expression {
    const tuple = (part: Part) => (part.keywords!.prefixItems ?? []) as unknown[];
    const [least, most] = [largest(parts, "minItems", 0), smallest(parts, "maxItems", Infinity)];
    const length = Math.min(most, Math.max(0, ...parts.map((part) => tuple(part).length)));
    if (length > MOST_NAMED) refuse(`a list of more than ${MOST_NAMED} prefixItems is`, path);
    if (least > most) return NEVER;
    const items = parts.map(({ keywords }) => keywords!.items ?? true);
    const item = this.compile(items, `${path}/items`, depth);
    if (length === 0) return listed("[", item, "]", least, most);
    let behind = repeat(sequence(COMMA, item), Math.max(0, least - length), most - length);
    for (let i = length - 1; i >= 0; i--) {
      const later = behind;
      const schemas = parts.map((part, p) => i < tuple(part).length ? tuple(part)[i] : items[p]);
      const place = this.compile(schemas, `${path}/prefixItems/${i}`, depth);
      const some = i === 0 ? sequence(place, later) : sequence(COMMA, place, later);
      behind = this.#rules.add(() => i < least ? some : choice(some, EMPTY));
    }
    return sequence(literal("["), behind, literal("]"));
  }
}

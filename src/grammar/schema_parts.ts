/** A JSON Schema taken apart: what `$ref` and `allOf` bring together, each with keywords of its own. */

export type Keywords = Readonly<Record<string, unknown>>;

/** Keywords that hold together with those of the other parts. */
export interface Part {
  readonly id: number;
  /** Where it stands in the schema, `#/properties/name`. */
  readonly path: string;
  /** Without `$ref`, `allOf`, `anyOf` and `oneOf`; null for a part that is a choice. */
  readonly keywords: Keywords | null;
  readonly options: readonly unknown[];
  /** Exactly one of the options. */
  readonly exclusive: boolean;
}

/** What says nothing of which values are valid. */
const ANNOTATIONS = new Set([
  ...["$schema", "$comment", "$defs", "definitions", "title", "description", "default", "example", "examples"],
  ...["deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "discriminator"],
]);

/** What is understood, and what each must be. */
const KEYWORDS: Readonly<Record<string, readonly [what: string, fits: (value: unknown) => boolean]>> = {
  $ref: ["a string", isString],
  type: ["a type or a list of types", (value) => [value].flat().every((one) => TYPES.includes(one as Type))],
  enum: ["a list of values", Array.isArray],
  const: ["a value", () => true],
  allOf: ["a list of schemas", isSchemas],
  anyOf: ["a list of schemas", isSchemas],
  oneOf: ["a list of schemas", isSchemas],
  properties: ["an object of schemas", (value) => isObject(value) && isSchemas(Object.values(value))],
  required: ["a list of strings", (value) => Array.isArray(value) && value.every(isString)],
  additionalProperties: ["a schema", isSchema],
  minProperties: ["a count", isCount],
  maxProperties: ["a count", isCount],
  items: ["a schema", isSchema],
  prefixItems: ["a list of schemas", isSchemas],
  minItems: ["a count", isCount],
  maxItems: ["a count", isCount],
  minLength: ["a count", isCount],
  maxLength: ["a count", isCount],
  pattern: ["a string", isString],
  format: ["a string", isString],
  minimum: ["a number", Number.isFinite],
  maximum: ["a number", Number.isFinite],
  exclusiveMinimum: ["a number", Number.isFinite],
  exclusiveMaximum: ["a number", Number.isFinite],
};

export const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"] as const;
export type Type = typeof TYPES[number];

/** Schemas within schemas. */
export const MOST_DEPTH = 200;

/** Parts of one place: more come only of schemas made to be large. */
const MOST_PARTS = 200;

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function isObject(value: unknown): value is Keywords {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSchema(value: unknown): boolean {
  return typeof value === "boolean" || isObject(value);
}

function isSchemas(value: unknown): boolean {
  return Array.isArray(value) && value.every(isSchema);
}

export class SchemaParts {
  readonly #root: unknown;
  readonly #known = new Map<unknown, readonly Part[] | null>();
  #count = 0;

  constructor(root: unknown) {
    this.#root = root;
  }

  /**
   * The parts that hold together where `schema` stands; null if it is `false`.
   * @throws RangeError or TypeError for what is not supported or malformed
   */
  of(schema: unknown, path: string): readonly Part[] | null {
    if (schema === true) return [];
    if (schema === false) return null;
    const known = this.#known.get(schema);
    if (known !== undefined) return known;
    const parts = this.#collect(schema, path, new Set());
    this.#known.set(schema, parts);
    return parts;
  }

  /** Those of several schemas. */
  all(schemas: readonly unknown[], path: string): readonly Part[] | null {
    const parts = new Set<Part>();
    for (const schema of schemas) {
      const more = this.of(schema, path);
      if (more === null) return null;
      for (const part of more) parts.add(part);
    }
    if (parts.size > MOST_PARTS) refuse(`more than ${MOST_PARTS} schemas at one place are`, path);
    return [...parts];
  }

  #collect(schema: unknown, path: string, open: Set<unknown>): readonly Part[] | null {
    if (typeof schema === "boolean") return schema ? [] : null;
    const known = this.#known.get(schema);
    if (known !== undefined) return known;
    if (open.has(schema)) throw new RangeError(`Cannot use the schema as ${path} refers to itself and to nothing else`);
    if (open.size > MOST_DEPTH) refuse(`a schema of more than ${MOST_DEPTH} levels is`, path);
    const { $ref, allOf = [], anyOf, oneOf, ...keywords } = checked(schema, path, this.#root);
    const inner = new Set(open).add(schema);
    const together: [unknown, string][] = (allOf as unknown[]).map((one, i) => [one, `${path}/allOf/${i}`]);
    if ($ref !== undefined) together.push([this.#resolve($ref as string, path), $ref as string]);
    const parts: Part[] = [];
    if (Object.keys(keywords).length > 0) parts.push(this.#part({ path, keywords, options: [], exclusive: false }));
    for (const [options, exclusive] of [[anyOf, false], [oneOf, true]] as const) {
      if (options) parts.push(this.#part({ path, keywords: null, options: options as unknown[], exclusive }));
    }
    for (const [one, where] of together) {
      const more = this.#collect(one, where, inner);
      if (more === null) return null;
      parts.push(...more);
    }
    const unique = [...new Set(parts)];
    this.#known.set(schema, unique);
    return unique;
  }

  #part(part: Omit<Part, "id">): Part {
    return { id: this.#count++, ...part };
  }

  /** Only references into the schema itself. */
  #resolve(ref: string, path: string): unknown {
    if (!/^#(\/|$)/.test(ref)) refuse(`$ref to ${shown(ref)}, which is not within the schema, is`, path);
    let target = this.#root;
    for (const key of ref.split("/").slice(1)) {
      const name = pointerKey(key);
      const holder = target as Record<string, unknown> | null;
      target = typeof holder === "object" && holder !== null && Object.hasOwn(holder, name) ? holder[name] : undefined;
    }
    if (isSchema(target)) return target;
    throw new RangeError(`Cannot use the schema as ${path} refers to ${shown(ref)}, which is not there`);
  }
}

function pointerKey(key: string): string {
  try {
    return decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return key;
  }
}

/** The keywords of a schema without annotations. */
function checked(schema: unknown, path: string, root: unknown): Keywords {
  if (!isObject(schema)) throw new TypeError(`Cannot use the schema as ${path} must be an object, true or false`);
  const entries = Object.entries(schema).filter(([name]) => !ANNOTATIONS.has(name) && !name.startsWith("x-"));
  return Object.fromEntries(entries.filter(([name, value]) => {
    if (name === "$id" && schema === root) return false;
    const keyword = Object.hasOwn(KEYWORDS, name) ? KEYWORDS[name] : undefined;
    const trivial = (name === "multipleOf" && value === 1 && schema.type === "integer") ||
      (name === "uniqueItems" && value === false);
    if (trivial) return false;
    if (!keyword) refuse(`${shown(name)} is`, path);
    const [what, fits] = keyword;
    if (!fits(value)) throw new TypeError(`Cannot use the schema as ${shown(name)} at ${path} must be ${what}`);
    return true;
  }));
}

/** A name or a pattern as a message repeats it. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** @throws RangeError */
export function refuse(what: string, path: string): never {
  throw new RangeError(`Cannot use the schema as ${what} not supported, at ${path.slice(0, 200)}`);
}

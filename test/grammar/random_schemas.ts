/** Random JSON Schemas of all that is supported, for fast-check. */
import fc from "fast-check";

const PATTERNS = [
  "^[a-z]{2,5}$",
  "^(foo|ba[rz])+$",
  "x",
  "^\\d{3}-\\d{2,4}$",
  '^[^a-z"]+$',
  "^\\w+\\s?\\w*$",
  "^.{1,3}$",
  "é|ü$",
  "^(a?b*){2,3}$",
];
const FORMATS = ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];

const name = fc.oneof(
  fc.constantFrom("a", "b", "ab", "name", 'quo"te', "日本", "x y", "a\nb"),
  fc.string({ minLength: 1, maxLength: 4, unit: "grapheme" }),
);
const scalar = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.integer({ min: -99, max: 99 }),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom(1.5, -0.25),
);
const description = fc.record({ title: fc.constant("t"), description: fc.string({ maxLength: 5 }) }, {
  requiredKeys: [],
});

const ordered = (values: fc.Arbitrary<number>) =>
  fc.tuple(values, values).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const counts = (low: string, high: string, most: number) =>
  ordered(fc.nat(most)).chain(([least, largest]) =>
    fc.constantFrom({}, { [low]: least }, { [high]: largest }, { [low]: least, [high]: largest })
  );

const string = fc.oneof(
  counts("minLength", "maxLength", 8).map((length) => ({ type: "string", ...length })),
  fc.constantFrom(...PATTERNS).map((pattern) => ({ type: "string", pattern })),
  fc.constantFrom(...FORMATS).map((format) => ({ type: "string", format })),
);
const decimal = fc.tuple(fc.integer({ min: -5000, max: 5000 }), fc.constantFrom(1, 10, 100)).map(([n, d]) => n / d);
const number = fc.tuple(
  fc.constantFrom("integer", "number"),
  ordered(decimal),
  fc.constantFrom("minimum", "exclusiveMinimum"),
  fc.constantFrom("maximum", "exclusiveMaximum"),
)
  .chain(([type, [least, most], low, high]) =>
    fc.constantFrom({ type }, { type, [low]: least }, { type, [high]: most }, {
      type,
      [low]: least,
      [high]: Math.round(100 * most + 100) / 100,
    })
  );
const listed = fc.oneof(
  fc.uniqueArray(scalar, { minLength: 1, maxLength: 4, selector: (value) => JSON.stringify(value) }).map((values) => ({
    enum: values,
  })),
  scalar.map((value) => ({ const: value })),
  fc.array(scalar, { maxLength: 2 }).map((value) => ({ const: { k: value } })),
);
const plain = fc.oneof(
  fc.constantFrom<unknown>({ type: "boolean" }, { type: "null" }, { type: ["string", "null"] }),
  string,
  number,
  listed,
);

export const schemas =
  fc.letrec<{ any: unknown; object: Record<string, unknown>; array: unknown; mixed: unknown }>((tie) => ({
    any: fc.oneof({ maxDepth: 3, depthIdentifier: "schema" }, plain, tie("object"), tie("array"), tie("mixed")).chain((
      schema,
    ) => description.map((texts) => ({ ...texts, ...schema as object }))),
    object: fc.record({
      properties: fc.dictionary(name, tie("any"), { maxKeys: 4, depthIdentifier: "schema" }),
      additional: fc.constantFrom(undefined, false, true, { type: "integer" }),
      required: fc.nat(15),
    }).map(({ properties, additional, required }) => ({
      type: "object",
      properties,
      required: Object.keys(properties).filter((_, i) => required >> i & 1),
      ...(additional === undefined ? {} : { additionalProperties: additional }),
    })),
    array: fc.record({
      items: tie("any"),
      prefixItems: fc.array(tie("any"), { maxLength: 2, depthIdentifier: "schema" }),
      length: counts("minItems", "maxItems", 3),
    }).map(({ items, prefixItems, length }) => ({
      type: "array",
      items,
      ...(prefixItems.length > 0 ? { prefixItems } : {}),
      ...length,
    })),
    mixed: fc.oneof(
      fc.array(tie("any"), { minLength: 1, maxLength: 3, depthIdentifier: "schema" }).map((anyOf) => ({ anyOf })),
      fc.tuple(tie("object"), tie("object")).map(([a, b]) => ({ oneOf: [tagged(a, "a"), tagged(b, "b")] })),
      fc.tuple(tie("object"), fc.dictionary(name, plain, { maxKeys: 2 })).map(([a, properties]) => ({
        allOf: [{ ...a, additionalProperties: true }, {
          type: "object",
          properties: without(properties, Object.keys(a.properties as object)),
        }],
      })),
      fc.tuple(tie("object"), tie("any")).map(([a, b]) => recursive(a, b)),
    ),
  })).any;

function tagged(schema: Record<string, unknown>, tag: string): unknown {
  const { properties, required } = schema as { properties: object; required: string[] };
  return { ...schema, properties: { kind: { const: tag }, ...properties }, required: [...required, "kind"] };
}

function without(properties: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).filter(([one]) => !names.includes(one)));
}

/** With members that refer to the whole schema again. */
function recursive(schema: Record<string, unknown>, leaf: unknown): unknown {
  const whole = { $ref: "#" };
  const list = { type: "array", items: whole, maxItems: 1 };
  return { ...schema, properties: { ...schema.properties as object, next: { anyOf: [leaf, whole] }, list } };
}

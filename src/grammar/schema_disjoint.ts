/** Whether schemas can be told apart by their types, their listed values or a property that both require. */
import type { Part } from "./schema_parts.ts";
import { canonical, typesOf } from "./schema_values.ts";

/** Whether no value can fit two of them, as far as is seen; null is a schema that nothing fits. */
export function disjoint(schemas: readonly (readonly Part[] | null)[]): boolean {
  const shapes = schemas.filter((parts) => parts !== null).map(shapeOf);
  return shapes.every((shape, i) => shapes.slice(0, i).every((other) => apart(shape, other)));
}

interface Shape {
  readonly types: readonly string[];
  /** Values by their texts, or null for any. */
  readonly values: ReadonlySet<string> | null;
  /** The values of required properties that list them. */
  readonly tags: ReadonlyMap<string, ReadonlySet<string>>;
}

function shapeOf(parts: readonly Part[]): Shape {
  const own = parts.filter(({ keywords }) => keywords !== null);
  const lists = own.map(({ keywords }) => valuesOf(keywords!)).filter((list) => list !== null);
  const typed = own.some(({ keywords }) => keywords!.type !== undefined);
  const required = new Set(own.flatMap(({ keywords }) => (keywords!.required ?? []) as string[]));
  const tags = new Map<string, ReadonlySet<string>>();
  for (const { keywords } of own) {
    for (const [name, schema] of Object.entries((keywords!.properties ?? {}) as Record<string, unknown>)) {
      const values = required.has(name) && typeof schema === "object"
        ? valuesOf(schema as Record<string, unknown>)
        : null;
      if (values) tags.set(name, values);
    }
  }
  return { types: typed ? typesOf(own) : ["any"], values: lists[0] ?? null, tags };
}

function valuesOf(keywords: Readonly<Record<string, unknown>>): Set<string> | null {
  if ("const" in keywords) return new Set([canonical(keywords.const)]);
  return Array.isArray(keywords.enum) ? new Set(keywords.enum.map(canonical)) : null;
}

function apart(a: Shape, b: Shape): boolean {
  const numeric = (types: readonly string[]) => types.map((type) => type === "integer" ? "number" : type);
  const typed = !a.types.includes("any") && !b.types.includes("any");
  if (typed && new Set(numeric(a.types)).isDisjointFrom(new Set(numeric(b.types)))) return true;
  if (a.values && b.values) return a.values.isDisjointFrom(b.values);
  const objects = [a, b].every(({ types }) => types.length === 1 && types[0] === "object");
  return objects && [...a.tags].some(([name, values]) => b.tags.get(name)?.isDisjointFrom(values) ?? false);
}

/** An OpenAPI document as far as its page shows it. */

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

interface Body {
  readonly description?: string;
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}

export interface Operation {
  readonly summary?: string;
  readonly requestBody?: Body;
  readonly responses: Readonly<Record<string, Body>>;
}

export interface Document {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

/** The name that a reference ends in. */
export function refName(ref: string): string {
  return ref.slice(ref.lastIndexOf("/") + 1);
}

/** What a reference leads to; a schema that is none as it is. */
export function resolve(schema: Schema, document: Document): Schema {
  if (schema.$ref === undefined) return schema;
  return document.components?.schemas?.[refName(schema.$ref)] ?? {};
}

/** `string | null`, `Usage`, `integer[]`, `"auto" | "none"`. */
export function typeName(schema: Schema): string {
  if (schema.$ref !== undefined) return refName(schema.$ref);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map(typeName))].join(" | ");
  if (schema.allOf) return [...new Set(schema.allOf.map(typeName))].join(" & ");
  if (schema.items) {
    const item = typeName(schema.items);
    return item.includes(" ") ? `(${item})[]` : `${item}[]`;
  }
  if (Array.isArray(schema.type)) return schema.type.join(" | ");
  return typeof schema.type === "string" ? schema.type : "any";
}

/** `0 to 2`, `at least 1`; empty where every value is right. */
export function bounds({ minimum, maximum, exclusiveMinimum, minItems, maxItems }: Schema): string {
  const least = minimum ?? minItems;
  const most = maximum ?? maxItems;
  const above = exclusiveMinimum === undefined ? "" : `more than ${exclusiveMinimum}`;
  const from = least === undefined ? above : most === undefined ? `at least ${least}` : `${least} to ${most}`;
  if (most === undefined || least !== undefined) return from;
  return from === "" ? `at most ${most}` : `${from}, at most ${most}`;
}

/** The objects that a schema may be or hold, each with its properties. */
export function objectsOf(schema: Schema, document: Document, depth = 0): Schema[] {
  const found = resolve(schema, document);
  if (found.properties) return [found];
  if (depth > 4) return [];
  const inner = [...found.anyOf ?? [], ...found.oneOf ?? [], ...found.allOf ?? [], ...found.items ? [found.items] : []];
  return inner.flatMap((each) => objectsOf(each, document, depth + 1));
}

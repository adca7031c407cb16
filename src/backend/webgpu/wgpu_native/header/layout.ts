/** Where the fields of C structs lie, where pointers and size_t have 8 bytes, and how Deno's FFI names their types. */
import type { Declared, Header } from "./parse.ts";

/** What a field holds; a string is a pointer with a length. */
export type Kind = "u32" | "i32" | "u64" | "f32" | "f64" | "pointer" | "string";

/** Of each field that is no struct its offset and kind; those of structs within structs are named `compute.module`. */
export interface Layout {
  readonly size: number;
  readonly fields: Readonly<Record<string, readonly [offset: number, kind: Kind]>>;
}

const SCALARS: Readonly<Record<string, Exclude<Kind, "string">>> = {
  uint32_t: "u32",
  int32_t: "i32",
  int: "i32",
  uint64_t: "u64",
  size_t: "u64",
  float: "f32",
  double: "f64",
};

const SIZES: Readonly<Record<Kind, number>> = { u32: 4, i32: 4, u64: 8, f32: 4, f64: 8, pointer: 8, string: 16 };

/** A type of Deno's FFI. */
export type NativeType = string | { readonly struct: readonly NativeType[] };

/** Lays out what a header declares. */
export class Layouts {
  readonly #header: Header;

  constructor(header: Header) {
    this.#header = header;
  }

  /** @throws {RangeError} for a struct that the header has not */
  of(name: string): Layout {
    const fields: Record<string, readonly [number, Kind]> = {};
    const { size } = this.#place(name, "", 0, fields);
    return { size, fields };
  }

  /** How Deno passes a value of the type. Memory that is only read or filled in goes as a buffer. */
  ffi(type: string): NativeType {
    if (/\bconst \*$|^(?!void)\w+ \*$/.test(type) && !type.startsWith("char")) return "buffer";
    if (this.#struct(type) !== undefined) {
      return { struct: this.#struct(type)!.map((field) => this.#member(field.type)) };
    }
    const kind = this.#kind(type);
    return type === "size_t" ? "usize" : kind;
  }

  #member(type: string): NativeType {
    const struct = this.#struct(type);
    if (struct !== undefined) return { struct: struct.map((field) => this.#member(field.type)) };
    return this.#kind(type);
  }

  #struct(type: string): readonly Declared[] | undefined {
    return type.includes("*") ? undefined : this.#header.structs.get(type);
  }

  #kind(type: string): Exclude<Kind, "string"> {
    const { handles, callbacks, values, aliases } = this.#header;
    if (type.includes("*") || handles.has(type) || callbacks.has(type)) return "pointer";
    const alias = aliases.get(type);
    if (alias !== undefined) return this.#kind(alias);
    const scalar = SCALARS[type] ?? (values.has(type) ? "u32" : undefined);
    if (scalar === undefined) throw new RangeError(`Cannot lay out the type ${type}: the headers do not declare it`);
    return scalar;
  }

  /** Places a struct's fields from `begin` on; returns its size and what its first byte must be a multiple of. */
  #place(
    name: string,
    prefix: string,
    begin: number,
    fields: Record<string, readonly [number, Kind]>,
  ): { size: number; align: number } {
    const struct = this.#struct(name);
    if (struct === undefined) throw new RangeError(`Cannot lay out ${name}: the headers have no such struct`);
    let [end, most] = [begin, 1];
    for (const { name: field, type } of struct) {
      const inner = type === "WGPUStringView" ? undefined : this.#struct(type);
      const { size, align } = inner ? this.#place(type, "", 0, {}) : this.#scalar(type);
      const offset = Math.ceil(end / align) * align;
      if (inner) this.#place(type, `${prefix}${field}.`, offset, fields);
      else fields[`${prefix}${field}`] = [offset, type === "WGPUStringView" ? "string" : this.#kind(type)];
      [end, most] = [offset + size, Math.max(most, align)];
    }
    return { size: Math.ceil((end - begin) / most) * most, align: most };
  }

  #scalar(type: string): { size: number; align: number } {
    const size = SIZES[type === "WGPUStringView" ? "string" : this.#kind(type)];
    return { size, align: Math.min(8, size) };
  }
}

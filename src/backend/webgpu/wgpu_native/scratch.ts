/** Memory in which descriptors are laid out for the C library, used anew for each call. */
import type { Kind } from "./header/layout.ts";
import type { STRUCTS } from "./webgpu_h.ts";

type Structs = typeof STRUCTS;
export type StructName = keyof Structs;

/** An address within the scratch, or a C object. */
export type Pointer = number | Deno.PointerValue;

type Value<K extends Kind> = K extends "pointer" ? Pointer : K extends "string" ? string | null : number;

/** Values for some fields of a struct, Infinity for none; the others are 0. */
export type Members<S extends StructName> = {
  readonly [F in keyof Structs[S]["fields"]]?: Structs[S]["fields"][F] extends readonly [number, infer K extends Kind]
    ? Value<K>
    : never;
};

interface AnyLayout {
  readonly size: number;
  readonly fields: Readonly<Record<string, readonly [number, Kind]>>;
}

const BYTES = 2 ** 16;

/** Room at the beginning for the descriptor itself, larger than any. */
const HEAD = 512;

/** As `WGPU_LIMIT_U32_UNDEFINED`, `WGPU_STRLEN` and all others that mean that there is no value. */
const NONE = 2 ** 32 - 1;
const ALL_BITS = 2n ** 64n - 1n;

const encoder = new TextEncoder();

/** The address of a buffer's first byte; below 2^53. */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): number {
  return Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}

/** What the pieces of one descriptor lie in. */
export class Scratch {
  readonly bytes = new Uint8Array(BYTES);
  readonly #view = new DataView(this.bytes.buffer);
  readonly #base = addressOf(this.bytes);
  #next = HEAD;
  /** Texts that are longer than the scratch, of the call that is prepared and of the one before. */
  #long: Uint8Array<ArrayBuffer>[] = [];
  #held = this.#long;

  /** Lays a descriptor out at the beginning, and forgets all pieces with the call it is for. */
  descriptor<S extends StructName>(layout: Structs[S], members: Members<S>): Uint8Array<ArrayBuffer> {
    this.#write(layout, 0, members);
    this.#next = HEAD;
    if (this.#long.length > 0 || this.#held.length > 0) [this.#held, this.#long] = [this.#long, []];
    return this.bytes;
  }

  /** A struct that a descriptor points to. */
  struct<S extends StructName>(layout: Structs[S], members: Members<S>): number {
    return this.structs(layout, [members]);
  }

  /** Structs one after the other. */
  structs<S extends StructName>(layout: Structs[S], all: readonly Members<S>[]): number {
    const begin = this.#take(layout.size * all.length);
    all.forEach((members, i) => this.#write(layout, begin + i * layout.size, members));
    return this.#base + begin;
  }

  /** C objects one after the other. */
  pointers(all: readonly Pointer[]): number {
    const begin = this.#take(8 * all.length);
    all.forEach((pointer, i) => this.#pointer(begin + 8 * i, pointer));
    return this.#base + begin;
  }

  /** Numbers of 32 bits one after the other. */
  numbers(all: readonly number[]): number {
    const begin = this.#take(4 * all.length);
    all.forEach((value, i) => this.#view.setUint32(begin + 4 * i, value, true));
    return this.#base + begin;
  }

  #take(bytes: number): number {
    const begin = this.#next;
    this.#next += Math.ceil(bytes / 8) * 8;
    if (this.#next <= BYTES) return begin;
    this.#next = HEAD;
    throw new RangeError(`Cannot describe that much in one call: it takes more than ${BYTES} bytes`);
  }

  #write({ size, fields }: AnyLayout, begin: number, members: Readonly<Record<string, unknown>>): void {
    this.bytes.fill(0, begin, begin + size);
    for (const name in members) {
      const value = members[name];
      if (value !== undefined) this.#field(begin, fields[name]!, value);
    }
  }

  #field(begin: number, [offset, kind]: readonly [number, Kind], value: unknown): void {
    const at = begin + offset;
    if (kind === "u32") this.#view.setUint32(at, Math.min(value as number, NONE), true);
    else if (kind === "u64") this.#word(at, value as number);
    else if (kind === "pointer") this.#pointer(at, value as Pointer);
    else if (kind === "string") this.#string(at, value as string | null);
    else if (kind === "f64") this.#view.setFloat64(at, value as number, true);
    else if (kind === "f32") this.#view.setFloat32(at, value as number, true);
    else this.#view.setInt32(at, value as number, true);
  }

  #word(at: number, value: number): void {
    if (value === Infinity) return this.#view.setBigUint64(at, ALL_BITS, true);
    this.#view.setUint32(at, value % 2 ** 32, true);
    this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }

  #pointer(at: number, value: Pointer): void {
    this.#word(at, typeof value === "number" ? value : Number(Deno.UnsafePointer.value(value)));
  }

  /** UTF-8 and its length; null is no text, which is another than an empty one. */
  #string(at: number, text: string | null): void {
    if (text === null) return this.#word(at + 8, Infinity);
    const most = 3 * text.length;
    if (this.#next + most <= BYTES) {
      const { written } = encoder.encodeInto(text, this.bytes.subarray(this.#next));
      this.#word(at, this.#base + this.#take(written));
      this.#word(at + 8, written);
    } else {
      const bytes = encoder.encode(text);
      this.#long.push(bytes);
      this.#word(at, addressOf(bytes));
      this.#word(at + 8, bytes.length);
    }
  }
}

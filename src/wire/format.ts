/** Descriptions of values as bytes, each of which serves both ways: what one side writes is what the other reads. */
import type { Reader, Writer } from "./bytes.ts";
import { FrameError } from "./frame_error.ts";

/** Numbers are little-endian, as all computers are that Deno runs on. Every value has one form in bytes. */
export interface Format<T> {
  /** No value takes less: tells how many there can be in what is left of a frame. */
  readonly leastBytes: number;
  /** @throws {RangeError | TypeError} for a value that it has no form for. */
  write(to: Writer, value: T): void;
  /** @throws {FrameError} for bytes that are no value. */
  read(from: Reader): T;
}

/** Whole numbers below 2^32. */
export const u32: Format<number> = {
  leastBytes: 4,
  write(to, value) {
    if (value >>> 0 !== value) throw new RangeError(`Cannot send ${value} as a whole number of 32 bits`);
    const at = to.take(4);
    to.view.setUint32(at, value, true);
  },
  read: (from) => from.view.getUint32(from.take(4), true),
};

/** Whole numbers below 2^53. */
export const u53: Format<number> = {
  leastBytes: 8,
  write(to, value) {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`Cannot send ${value} as a whole number`);
    u32.write(to, value % 2 ** 32);
    u32.write(to, Math.floor(value / 2 ** 32));
  },
  read(from) {
    const low = u32.read(from);
    const value = u32.read(from) * 2 ** 32 + low;
    if (Number.isSafeInteger(value)) return value;
    throw new FrameError("Cannot read a whole number above 2^53 in a frame");
  },
};

/** Numbers but NaN and infinities. */
export const finite: Format<number> = {
  leastBytes: 8,
  write(to, value) {
    if (!Number.isFinite(value)) throw new RangeError(`Cannot send ${value} as a number that is to be finite`);
    const at = to.take(8);
    to.view.setFloat64(at, value, true);
  },
  read(from) {
    const value = from.view.getFloat64(from.take(8), true);
    if (Number.isFinite(value)) return value;
    throw new FrameError(`Cannot read ${value} in a frame as a number that is to be finite`);
  },
};

/** One of `count`, from 0 on. */
export function choice(count: number): Format<number> {
  return {
    leastBytes: 1,
    write(to, value) {
      const at = to.take(1);
      to.view.setUint8(at, value);
    },
    read(from) {
      const value = from.view.getUint8(from.take(1));
      if (value < count) return value;
      throw new FrameError(`Cannot read ${value} in a frame where a number below ${count} is to be`);
    },
  };
}

const presence = choice(2);

/** Of what may be left out. */
export function optional<T>(format: Format<T>): Format<T | undefined> {
  return {
    leastBytes: presence.leastBytes,
    write(to, value) {
      presence.write(to, value === undefined ? 0 : 1);
      if (value !== undefined) format.write(to, value);
    },
    read: (from) => presence.read(from) === 1 ? format.read(from) : undefined,
  };
}

/** What is only ever left out or there. */
export const flag: Format<true | undefined> = optional({ leastBytes: 0, write() {}, read: () => true });

export function list<T>(item: Format<T>): Format<readonly T[]> {
  return {
    leastBytes: u32.leastBytes,
    write(to, values) {
      u32.write(to, values.length);
      for (const value of values) item.write(to, value);
    },
    read(from) {
      const count = u32.read(from);
      if (count * item.leastBytes > from.left) {
        throw new FrameError(`Cannot read a list of ${count} in a frame so short`);
      }
      return Array.from({ length: count }, () => item.read(from));
    },
  };
}

/** With a format for each property, which may give undefined for those that may be left out. */
export type Fields<T> = {
  readonly [K in keyof T]-?: Format<T extends Record<K, unknown> ? T[K] : T[K] | undefined>;
};

/** Properties one after the other. */
export function struct<T extends object>(fields: Fields<T>): Format<T> {
  const all = Object.entries(fields) as [keyof T, Format<unknown>][];
  return {
    leastBytes: all.reduce((sum, [, { leastBytes }]) => sum + leastBytes, 0),
    write(to, value) {
      for (const [name, field] of all) field.write(to, value[name]);
    },
    read(from) {
      const value: Partial<Record<keyof T, unknown>> = {};
      for (const [name, field] of all) {
        const read = field.read(from);
        if (read !== undefined) value[name] = read;
      }
      return value as T;
    },
  };
}

type Typed = { readonly type: string };

/** With the properties of each variant besides its type. */
export type Variants<T extends Typed> = {
  readonly [Type in T["type"]]: Format<Omit<Extract<T, { readonly type: Type }>, "type">>;
};

/** One of several, told apart by their `type`, whose place in `variants` is what is written. */
export function union<T extends Typed>(variants: Variants<T>): Format<T> {
  const types = Object.keys(variants) as T["type"][];
  const tag = choice(types.length);
  const of = (type: T["type"]) => variants[type] as Format<object>;
  return {
    leastBytes: tag.leastBytes,
    write(to, value) {
      tag.write(to, types.indexOf(value.type));
      of(value.type).write(to, value);
    },
    read(from) {
      const type = types[tag.read(from)]!;
      return { type, ...of(type).read(from) } as unknown as T;
    },
  };
}

/** What is not sent over a network. */
export function refused(what: string): Format<never> {
  const sentence = `Cannot send ${what} over a network: this works within one computer only`;
  return {
    leastBytes: 0,
    write() {
      throw new TypeError(sentence);
    },
    read() {
      throw new FrameError(sentence);
    },
  };
}

/** Arrays and texts in frames. */
import type { Reader, Writer } from "./bytes.ts";
import { type Format, u32 } from "./format.ts";
import { FrameError } from "./frame_error.ts";

export const u32Array: Format<Uint32Array> = {
  leastBytes: u32.leastBytes,
  write: (to, values) => writeWords(to, values),
  read: (from) => new Uint32Array(readWords(from)),
};

/** Owns its buffer once it was read. */
export const f32Array: Format<Float32Array> = {
  leastBytes: u32.leastBytes,
  write: (to, values) => writeWords(to, values),
  read: (from) => new Float32Array(readWords(from)),
};

/** As {@linkcode f32Array}, but with 16 of each value's bits: rounded to the nearest, of two as near to the even one. */
export const bf16Array: Format<Float32Array> = {
  leastBytes: u32.leastBytes,
  write(to, values) {
    u32.write(to, values.length);
    const at = to.take(2 * values.length, 2);
    const words = new Int32Array(values.buffer, values.byteOffset, values.length);
    const halves = new Uint16Array(to.view.buffer, at, values.length);
    for (let i = 0; i < words.length; i++) { // with the rounding in a function V8 took 1.5 times as long
      const word = words[i]!;
      halves[i] = word + 0x7fff + (word >>> 16 & 1) >>> 16;
      if ((word & 0x7fffffff) > 0x7f800000) halves[i] = halfOfNan(word);
    }
  },
  read(from) {
    const count = u32.read(from);
    const halves = new Uint16Array(from.copy(2 * count, 2));
    const bits = new Uint32Array(count);
    for (let i = 0; i < count; i++) bits[i] = halves[i]! << 16;
    return new Float32Array(bits.buffer);
  },
};

/** Its upper bits as they are, unless they would be an infinity's. */
function halfOfNan(word: number): number {
  const upper = word >>> 16;
  return (upper & 0x7f) === 0 ? upper | 0x40 : upper;
}

function writeWords(to: Writer, values: Uint32Array | Float32Array): void {
  u32.write(to, values.length);
  to.put(values, 4);
}

function readWords(from: Reader): ArrayBuffer {
  return from.copy(4 * u32.read(from), 4);
}

/** UTF-16 units of a text at most, each of which takes up to three bytes. */
const MOST_UNITS = 2000;
export const MOST_TEXT_BYTES = 3 * MOST_UNITS;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** For people to read: what is longer is cut, and what would move a terminal's cursor becomes a space. */
export const sentence: Format<string> = {
  leastBytes: u32.leastBytes,
  write(to, text) {
    const bytes = encoder.encode(text.slice(0, MOST_UNITS).replaceAll(UNPRINTABLE, " "));
    u32.write(to, bytes.length);
    to.put(bytes, 1);
  },
  read(from) {
    const count = u32.read(from);
    const at = from.take(count);
    const text = count > MOST_TEXT_BYTES ? null : decoded(from.bytes.subarray(at, at + count));
    if (text !== null && text.length <= MOST_UNITS && text.search(UNPRINTABLE) < 0) return text;
    throw new FrameError("Cannot read a text in a frame that is too long or none for people to read");
  },
};

// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f]/g;

function decoded(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

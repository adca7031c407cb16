/** The bytes of all tokens, and tries over them in which equal beginnings are walked once. */
import type { TokenBytes } from "../pipeline/requests.ts";

/** Puts the bytes of tokens into shared memory. `bytesOf` gives none for a token that is not text. */
export function shareTokenBytes(tokens: number, bytesOf: (id: number) => Uint8Array): TokenBytes {
  const all = Array.from({ length: tokens }, (_, id) => bytesOf(id));
  const length = all.reduce((sum, bytes) => sum + bytes.length, 0);
  const bytes = new Uint8Array(new SharedArrayBuffer(length));
  const offsets = new Uint32Array(new SharedArrayBuffer(4 * (tokens + 1)));
  let at = 0;
  for (const [id, token] of all.entries()) {
    bytes.set(token, at);
    offsets[id + 1] = at += token.length;
  }
  return { bytes, offsets };
}

/** A trie over some tokens, its nodes in preorder, N in all; the root is node 0 and has no byte. */
export class Trie {
  /** Bytes of its longest token. */
  readonly longest: number;
  readonly byte: Uint8Array;
  readonly depth: Uint16Array;
  /** One past the last node below. */
  readonly end: Uint32Array;
  /** A token that ends at the node, or −1. */
  readonly token: Int32Array;

  /** `ids` come in the order of their bytes; each that has the same bytes as one before is noted in `same`. */
  constructor(ids: Uint32Array, { bytes, offsets }: TokenBytes, same: Int32Array) {
    const most = 1 + ids.reduce((sum, id) => sum + offsets[id + 1]! - offsets[id]!, 0);
    const [byte, depth, end] = [new Uint8Array(most), new Uint16Array(most), new Uint32Array(most)];
    const token = new Int32Array(most).fill(-1);
    const path = [0]; // the node at each depth of the token before
    let count = 1;
    for (const id of ids) {
      const text = bytes.subarray(offsets[id], offsets[id + 1]);
      let shared = 0;
      while (shared + 1 < path.length && shared < text.length && byte[path[shared + 1]!] === text[shared]) shared++;
      while (path.length > shared + 1) end[path.pop()!] = count;
      for (const one of text.subarray(shared)) {
        byte[count] = one;
        depth[count] = path.length;
        path.push(count++);
      }
      same[id] = token[path.at(-1)!]!;
      token[path.at(-1)!] = id;
    }
    for (const node of path) end[node] = count;
    this.longest = depth.reduce((longest, one) => Math.max(longest, one), 0);
    [this.byte, this.depth] = [byte.slice(0, count), depth.slice(0, count)];
    [this.end, this.token] = [end.slice(0, count), token.slice(0, count)];
  }
}

/** Tokens of up to so many bytes are in one trie: in a string that may have 20 characters more, only the few that are longer differ. */
const LENGTHS = [4, 8, 16, Infinity];

export class Vocabulary {
  /** V; tokens without bytes are among them. */
  readonly size: number;
  /** By the tokens' lengths; all together have each token that is text once. */
  readonly tries: readonly Trie[];
  /** [V] another token of the same bytes, or −1. */
  readonly same: Int32Array;
  readonly #tokens: TokenBytes;

  /** `size` is the model's vocabulary, which may have more tokens than the tokenizer. */
  constructor(tokens: TokenBytes, size: number) {
    this.#tokens = tokens;
    this.size = size;
    const { offsets } = tokens;
    const known = Math.min(size, offsets.length - 1);
    const length = (id: number) => offsets[id + 1]! - offsets[id]!;
    const ids = sortedByBytes(
      Uint32Array.from({ length: known }, (_, id) => id).filter((id) => length(id) > 0),
      tokens,
    );
    this.same = new Int32Array(size).fill(-1);
    this.tries = LENGTHS.map((most, i) => {
      const least = LENGTHS[i - 1] ?? 0;
      return new Trie(ids.filter((id) => length(id) > least && length(id) <= most), tokens, this.same);
    });
  }

  /** The bytes of a token; none if it is not text. */
  bytesOf(id: number): Uint8Array {
    const { bytes, offsets } = this.#tokens;
    return id + 1 < offsets.length ? bytes.subarray(offsets[id], offsets[id + 1]) : bytes.subarray(0, 0);
  }
}

function sortedByBytes(ids: Uint32Array, { bytes, offsets }: TokenBytes): Uint32Array {
  // The first six bytes as a number settle most comparisons.
  const head = Float64Array.from(offsets, (start, id) => {
    let value = 0;
    for (let i = 0; i < 6; i++) value = value * 257 + (start + i < (offsets[id + 1] ?? 0) ? bytes[start + i]! + 1 : 0);
    return value;
  });
  return ids.sort((a, b) => {
    if (head[a] !== head[b]) return head[a]! - head[b]!;
    const [startA, startB] = [offsets[a]!, offsets[b]!];
    const [lengthA, lengthB] = [offsets[a + 1]! - startA, offsets[b + 1]! - startB];
    for (let i = 6; i < Math.min(lengthA, lengthB); i++) {
      const difference = bytes[startA + i]! - bytes[startB + i]!;
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB || b - a;
  });
}

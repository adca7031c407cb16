/** A sequence that begins anew reads what it has read before in the same pieces. */
import { strict as assert } from "node:assert";
import { Sequence } from "../../src/engine/sequence.ts";

/** Reads all that it has, a prompt of 5 tokens in pieces of 4 and 1; returns the pieces. */
function read(sequence: Sequence): number[][] {
  const pieces = [];
  while (sequence.pending > 0) {
    const most = sequence.computed < 5 ? Math.min(4, 5 - sequence.computed) : 8;
    pieces.push(sequence.take(sequence.next(most)));
  }
  return pieces;
}

Deno.test("Sequence reads again row by row what it generated, and what came at once at once", () => {
  const sequence = new Sequence(0, Uint32Array.of(1, 2, 3, 4, 5));
  const pieces = [...read(sequence)];
  for (const tokens of [[6], [7, 20, 21], [8], [9]]) {
    for (const token of tokens) sequence.append(token);
    pieces.push(...read(sequence));
  }
  assert.deepEqual(pieces, [[1, 2, 3, 4], [5], [6], [7, 20, 21], [8], [9]]);
  const { run } = sequence;
  for (const token of [10, 22]) sequence.append(token); // which it has not read yet
  sequence.restart();
  assert.notEqual(sequence.run, run);
  assert.deepEqual([sequence.computed, sequence.resume, sequence.decoding], [0, null, false]);
  const again = [];
  const decoding = [];
  while (sequence.pending > 0) {
    const most = sequence.computed < 5 ? Math.min(4, 5 - sequence.computed) : 8;
    decoding.push(sequence.decoding);
    again.push(sequence.take(sequence.next(most)));
    assert.equal(sequence.outputsFrom(sequence.computed - again.at(-1)!.length), sequence.pending === 0 ? 1 : 0);
  }
  assert.deepEqual(again, [...pieces, [10, 22]]);
  assert.deepEqual(decoding, [false, false, true, false, true, true, false]);
  sequence.restart();
  assert.deepEqual(read(sequence), again, "a second time");
});

Deno.test("Sequence tells what of its prompt was found when it first began, not what was found again", () => {
  const sequence = new Sequence(0, Uint32Array.of(1, 2, 3, 4, 5));
  sequence.beginAt(2, 7);
  assert.deepEqual([sequence.cached, sequence.resume], [2, 7]);
  sequence.take(sequence.next(8));
  sequence.restart();
  sequence.beginAt(4, 8);
  assert.deepEqual([sequence.cached, sequence.resume, sequence.computed], [2, 8, 4]);
});

Deno.test("Sequence of which every row is wanted reads the same pieces again, and wants none that was heard", () => {
  const sequence = new Sequence(0, Uint32Array.from({ length: 9 }), { chunks: [3, 1], everyRow: true });
  const next = () => {
    const start = sequence.computed;
    return [sequence.take(sequence.next(8)).length, sequence.outputsFrom(start)];
  };
  assert.deepEqual([next(), next()], [[3, 3], [1, 1]]);
  sequence.heard = 3;
  sequence.restart();
  assert.deepEqual([next(), next(), next(), next()], [[3, 0], [1, 1], [3, 3], [1, 1]]);
});

Deno.test("Sequence is loaded in pieces, as far as it is stored, and not when it begins anew", () => {
  const sequence = new Sequence(0, Uint32Array.from({ length: 14 }, (_, i) => i));
  const stored = { position: 12, state: 0, pages: [0, 1, 2], size: 4, most: 8 };
  sequence.loading = stored;
  assert.equal(sequence.next(3), 8);
  sequence.takeLoaded(8);
  assert.deepEqual([sequence.computed, sequence.cached, sequence.loading], [8, 0, stored]);
  assert.equal(sequence.next(3), 4);
  sequence.takeLoaded(4);
  assert.deepEqual([sequence.computed, sequence.cached, sequence.loading], [12, 12, null]);
  assert.deepEqual(sequence.take(sequence.next(3)), [12, 13]);
  sequence.loading = stored;
  sequence.restart();
  assert.equal(sequence.loading, null);
});

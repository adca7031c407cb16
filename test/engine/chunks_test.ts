import { strict as assert } from "node:assert";
import fc from "fast-check";
import { chunkRows, keptPositions } from "../../src/engine/chunks.ts";

/** Where the chunks of a prompt end that is read from `start` on. */
function ends(start: number, length: number, most: number, alignment: number, stops: readonly number[] = []): number[] {
  const all = [];
  for (let at = start; at < length;) all.push(at += chunkRows({ start: at, length, most, alignment, stops }));
  return all;
}

Deno.test("chunkRows() ends at multiples of the alignment while it can, and gives the last rows a chunk of their own", () => {
  assert.deepEqual(ends(0, 40, 16, 8), [16, 32, 40]);
  assert.deepEqual(ends(0, 43, 20, 8), [16, 32, 40, 43]);
  assert.deepEqual(ends(0, 7, 20, 8), [7]);
  assert.deepEqual(ends(0, 43, 20, 8, [8, 24]), [8, 24, 40, 43]);
  assert.deepEqual(ends(0, 20, 3, 8), [3, 6, 8, 11, 14, 16, 19, 20]);
  assert.deepEqual(ends(0, 5, 3, 1), [3, 5]);
});

Deno.test("chunkRows() cuts the same way from any multiple of the alignment on, whatever the stops, but for whole pieces", () => {
  const numbers = { length: fc.integer({ min: 1, max: 200 }), most: fc.integer({ min: 1, max: 50 }) };
  fc.assert(fc.property(fc.record({ ...numbers, skip: fc.nat(20), stops: fc.array(fc.nat(20)) }), (one) => {
    const { length, most, skip } = one;
    const [alignment, start] = [8, Math.min(skip, Math.floor((length - 1) / 8)) * 8];
    const stops = one.stops.map((stop) => 8 * stop).filter((stop) => stop > 0);
    const [whole, cut] = [ends(0, length, most, alignment), ends(start, length, most, alignment, stops)];
    const within = (all: readonly number[]) => all.filter((end) => end > start && end % alignment !== 0);
    assert.deepEqual(within(cut), within(whole));
    for (const all of [whole, cut]) {
      assert.equal(all.at(-1), length);
      all.forEach((end, i) => {
        const begin = all[i - 1] ?? (all === cut ? start : 0);
        assert.ok(0 < end - begin && end - begin <= most);
        // Either whole pieces, or within one of them.
        const pieces = begin % alignment === 0 && end % alignment === 0;
        assert.ok(pieces || Math.floor(begin / alignment) === Math.floor((end - 1) / alignment), `${begin} to ${end}`);
      });
    }
    for (const stop of stops) assert.ok(stop <= start || stop > length || cut.includes(stop), `${stop} is no end`);
  }));
});

Deno.test("keptPositions() has the end, boundaries and doubling distances, each of them aligned", () => {
  assert.deepEqual(keptPositions(100, 8, []), [8, 16, 32, 64, 96]);
  assert.deepEqual(keptPositions(100, 8, [43, 7, 99]), [8, 16, 32, 40, 64, 96]);
  assert.deepEqual(keptPositions(7, 8, [5]), []);
  assert.deepEqual(keptPositions(16, 8, []), [8, 16]);
});

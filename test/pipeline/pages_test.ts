import { strict as assert } from "node:assert";
import fc from "fast-check";
import { Pages } from "../../src/pipeline/pages.ts";

const segment = (slot: number, start: number, rows: number) => ({ slot, start, rows });

Deno.test("Pages gives a slot pages as its sequence grows, and takes them back when another begins", () => {
  const pages = new Pages(2, 64);
  pages.addBlock(4);
  assert.deepEqual(pages.assign([segment(1, 0, 1)]), [[0]]);
  assert.deepEqual(pages.assign([segment(1, 1, 63), segment(0, 0, 65)]), [[0], [1, 2]]);
  assert.deepEqual(pages.assign([segment(1, 64, 1)]), [[0, 3]]);
  assert.equal(pages.missing([segment(1, 65, 64)]), 1);
  pages.begin([segment(0, 0, 1)]);
  assert.equal(pages.missing([segment(1, 65, 64)]), 0);
  assert.deepEqual(pages.assign([segment(0, 0, 1), segment(1, 65, 64)]), [[1], [0, 3, 2]]);
});

Deno.test("Pages takes back those behind a segment, and all of a slot", () => {
  const pages = new Pages(2, 64);
  pages.addBlock(6);
  pages.assign([segment(0, 0, 200), segment(1, 0, 65)]);
  assert.deepEqual([pages.used, pages.held(0), pages.wanted([segment(1, 65, 64)])], [6, 4, 1]);
  pages.cut([segment(0, 0, 65), segment(1, 0, 200)]);
  assert.deepEqual([pages.used, pages.held(0), pages.held(1)], [4, 2, 2]);
  pages.keep(0, 1, 1);
  pages.release({ slots: [0, 1], snapshots: [] });
  assert.deepEqual([pages.used, pages.heldBySlots], [1, 0]);
  pages.release({ slots: [], snapshots: [0] });
  assert.equal(pages.used, 0);
});

Deno.test("Pages goes on in a sequence's own block or a later one while it can, and tells how often it cannot", () => {
  const pages = new Pages(2, 64);
  pages.addBlock(2);
  pages.assign([segment(0, 0, 64), segment(1, 0, 64)]);
  pages.addBlock(2);
  pages.assign([segment(1, 64, 64)]); // 1, 2
  pages.begin([segment(0, 0, 1)]);
  const first = pages.assign([segment(1, 128, 64)]);
  assert.deepEqual([first, pages.rounds(first)], [[[1, 2, 3]], 1]);
  const second = pages.assign([segment(1, 192, 64)]);
  assert.deepEqual([second, pages.rounds(second)], [[[1, 2, 3, 0]], 2]);
});

Deno.test("Pages never gives one page to two slots, and has every page once, whatever comes", () => {
  const step = fc.record({ slot: fc.nat(2), start: fc.boolean(), rows: fc.integer({ min: 1, max: 200 }) });
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const pages = new Pages(3, 64);
    const tables: number[][] = [[], [], []];
    const lengths = [0, 0, 0];
    for (const { slot, start, rows } of steps) {
      if (start) lengths[slot] = 0;
      const segments = [segment(slot, lengths[slot]!, rows)];
      pages.begin(segments);
      const missing = pages.missing(segments);
      if (missing > 0) pages.addBlock(missing);
      const before = lengths[slot] === 0 ? [] : tables[slot]!;
      tables[slot] = pages.assign(segments)[0]!;
      lengths[slot]! += rows;
      assert.deepEqual(tables[slot].slice(0, before.length), before); // nothing moves
      assert.equal(tables[slot].length, Math.ceil(lengths[slot]! / 64));
      const held = tables.flat();
      assert.equal(new Set(held).size, held.length);
      assert.ok(held.every((page) => page < pages.count));
    }
  }));
});

Deno.test("Pages keeps pages for a snapshot, shares them with whoever begins from it, and frees them when nobody has them", () => {
  const pages = new Pages(3, 64);
  pages.addBlock(6);
  pages.assign([segment(0, 0, 150)]); // 0, 1, 2
  pages.keep(7, 0, 2);
  pages.begin([segment(0, 0, 1)]);
  assert.deepEqual(pages.assign([segment(0, 0, 1)]), [[2]]);
  const shared = { ...segment(1, 128, 10), from: 7 };
  pages.begin([shared]);
  assert.deepEqual(pages.assign([shared]), [[0, 1, 3]]);
  pages.begin([{ ...segment(2, 128, 10), from: 7 }]);
  pages.drop(7);
  assert.equal(pages.missing([segment(2, 128, 10), segment(0, 0, 129)]), 1); // 4 and 5 are free
  pages.begin([segment(1, 0, 1)]);
  assert.deepEqual(pages.assign([segment(2, 128, 10)]), [[0, 1, 3]]);
  pages.begin([segment(2, 0, 1)]);
  assert.equal(pages.missing([segment(1, 0, 64 * 5)]), 0);
  pages.begin([{ ...segment(0, 5, 1), from: 3 }]); // which keeps none
  assert.deepEqual(pages.assign([segment(0, 5, 1)]), [[2]]);
});

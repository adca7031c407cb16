/** Who has pages, who is let in, and what is given up for whom. */
import { strict as assert } from "node:assert";
import { PrefixCache } from "../../src/engine/prefix_cache.ts";
import { Room } from "../../src/engine/room.ts";
import { Sequence } from "../../src/engine/sequence.ts";

const SIZE = 4;
const TEXT = Array.from({ length: 40 }, (_, i) => i);

function opened(pages: number): Room {
  const cache = new PrefixCache({ alignment: SIZE, first: 0, count: 3, pages: 20 });
  return new Room({ slots: 3, size: SIZE, pages, cache });
}

const sequence = (length: number) => new Sequence(0, Uint32Array.from(TEXT.slice(0, length)));

Deno.test("Room gives up what is kept for what is read, but nothing that is not to be given up in vain", () => {
  const room = opened(5);
  assert.ok(room.take({ slot: 0, start: 0, rows: 16 }));
  assert.equal(room.keep(TEXT, 16, 0), 0);
  room.leave(0);
  assert.deepEqual(room.takeReleased(), { slots: [0], snapshots: [] });
  assert.equal(room.takeReleased(), null);
  assert.ok(room.take({ slot: 1, start: 0, rows: 4 }));
  const next = { slot: 0, start: 16, rows: 4, from: 0 };
  assert.equal(room.take(next), false);
  assert.equal(room.find(TEXT)?.position, 16, "it would go on from this");
  room.leave(1);
  assert.ok(room.take(next));
  assert.deepEqual(room.takeReleased(), { slots: [1], snapshots: [] });
  room.leave(0);
  assert.ok(room.take({ slot: 2, start: 0, rows: 20 }));
  assert.deepEqual([room.takeReleased(), room.find(TEXT)], [{ slots: [0], snapshots: [0] }, null]);
  assert.equal(room.takeAhead([{ slot: 2, start: 20, rows: 1 }]), false);
});

Deno.test("Room lets in who has pages for all tokens and one more, beside what is promised to others", () => {
  const room = opened(8);
  const running = sequence(12);
  assert.ok(room.admits(sequence(28), []));
  assert.ok(!room.admits(sequence(29), []));
  running.slot = 0;
  assert.ok(room.admits(sequence(12), [running]), "4 and 4 pages");
  assert.ok(!room.admits(sequence(13), [running]));
  assert.ok(room.take({ slot: 0, start: 0, rows: 12 }));
  assert.ok(room.admits(sequence(12), [running]));
  assert.ok(!room.admits(sequence(13), [running]));
  room.keep(TEXT, 12, 0);
  assert.ok(room.admits(sequence(24), [running]), "7 pages, of which 3 are there, beside 4");
  assert.ok(!room.admits(sequence(25), [running]));
  assert.deepEqual([room.lower(9), room.lower(7), room.lower(7), room.positions], [false, true, false, 28]);
  assert.ok(!room.admits(sequence(24), [running]));
});

Deno.test("Room promises nobody more pages than a context has", () => {
  const room = new Room({ slots: 3, size: SIZE, pages: 9, context: 12 });
  const running = [sequence(12), sequence(10)];
  running.forEach((one, slot) => one.slot = slot);
  assert.ok(room.admits(sequence(9), running), "3 pages each");
  assert.ok(!new Room({ slots: 3, size: SIZE, pages: 8, context: 12 }).admits(sequence(9), running));
});

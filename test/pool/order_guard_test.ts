/** A step never goes on from what is not there, and never over what came later. */
import { strict as assert } from "node:assert";
import type { Segment, Step } from "../../src/pipeline/steps.ts";
import { OrderGuard } from "../../src/pool/order_guard.ts";

const step = (id: number, ...segments: Segment[]): Step => ({ id, segments, outputs: new Uint32Array() });

Deno.test("a sequence goes on where it is, and from where it was kept", () => {
  const guard = new OrderGuard();
  assert.equal(guard.begin(1, step(0, { slot: 3, start: 0, rows: 256, keep: 5 })), null);
  assert.equal(guard.begin(1, step(1, { slot: 3, start: 256, rows: 1 })), null);
  assert.equal(
    guard.begin(1, step(2, { slot: 4, start: 256, rows: 10, from: 5 }, { slot: 3, start: 257, rows: 1 })),
    null,
  );
  assert.equal(guard.begin(1, step(3, { slot: 4, start: 266, rows: 1, before: 6 })), null);
  assert.equal(guard.begin(1, step(4, { slot: 0, start: 266, rows: 1, from: 6 })), null);
});

Deno.test("a step that would go on from elsewhere is refused, and so are those behind it", () => {
  const guard = new OrderGuard();
  assert.match(guard.begin(1, step(0, { slot: 3, start: 7, rows: 1 })) ?? "", /slot 3 does not hold .* position 7/);
  assert.equal(guard.begin(1, step(1, { slot: 3, start: 0, rows: 4 })), null);
  assert.match(guard.begin(1, step(2, { slot: 3, start: 5, rows: 1 })) ?? "", /slot 3 does not hold/);
  assert.match(guard.begin(1, step(3, { slot: 3, start: 6, rows: 1 })) ?? "", /slot 3 does not hold/);
  assert.match(guard.begin(1, step(4, { slot: 0, start: 4, rows: 1, from: 2 })) ?? "", /snapshot 2 does not hold/);
  assert.equal(guard.begin(1, step(5, { slot: 3, start: 0, rows: 4 })), null, "it may begin anew");
});

Deno.test("whoever is overtaken on another route is refused, and takes nothing away", () => {
  const guard = new OrderGuard();
  assert.equal(guard.begin(2, step(10, { slot: 3, start: 0, rows: 8, keep: 1 })), null);
  assert.match(guard.begin(1, step(9, { slot: 3, start: 0, rows: 2 })) ?? "", /step 9 came after a later one/);
  assert.match(guard.begin(1, step(8, { slot: 4, start: 0, rows: 2, keep: 1 })) ?? "", /step 8 came after a later one/);
  assert.equal(guard.begin(2, step(11, { slot: 3, start: 8, rows: 1 })), null);
  assert.equal(guard.begin(2, step(12, { slot: 5, start: 8, rows: 1, from: 1 })), null);
  assert.match(guard.begin(1, step(13, { slot: 4, start: 2, rows: 1 })) ?? "", /slot 4 does not hold/, "it failed");
});

Deno.test("nobody goes on from a step that failed", () => {
  const guard = new OrderGuard();
  const first = step(0, { slot: 1, start: 0, rows: 256, keep: 2 });
  assert.equal(guard.begin(1, first), null);
  assert.equal(guard.begin(1, step(1, { slot: 1, start: 256, rows: 1 })), null, "it may be sent before that is known");
  guard.fail(first);
  assert.match(guard.begin(1, step(2, { slot: 0, start: 256, rows: 1, from: 2 })) ?? "", /snapshot 2 does not hold/);
  guard.fail(step(1, { slot: 1, start: 256, rows: 1 }));
  assert.match(guard.begin(1, step(3, { slot: 1, start: 257, rows: 1 })) ?? "", /slot 1 does not hold/);
});

Deno.test("a release takes back what nobody has touched since, once", () => {
  const guard = new OrderGuard();
  guard.begin(1, step(0, { slot: 1, start: 0, rows: 256, keep: 2 }));
  guard.begin(2, step(5, { slot: 3, start: 0, rows: 1 }));
  assert.deepEqual(guard.release({ slots: [1, 3, 7], snapshots: [2, 9], order: 4 }), { slots: [1], snapshots: [2] });
  assert.match(guard.begin(1, step(3, { slot: 1, start: 0, rows: 1 })) ?? "", /came after/, "the release was later");
  assert.match(guard.begin(1, step(6, { slot: 1, start: 256, rows: 1 })) ?? "", /slot 1 does not hold/);
});

Deno.test("a route that ends gives back what was touched through it last, a session all", () => {
  const guard = new OrderGuard();
  guard.begin(1, step(0, { slot: 1, start: 0, rows: 4, keep: 0 }, { slot: 2, start: 0, rows: 4, keep: 1 }));
  guard.begin(2, step(1, { slot: 2, start: 0, rows: 4 }));
  assert.deepEqual(guard.leave(1), { slots: [1], snapshots: [0, 1] });
  assert.deepEqual(guard.leave(1), { slots: [], snapshots: [] });
  assert.match(guard.begin(2, step(2, { slot: 1, start: 4, rows: 1 })) ?? "", /slot 1 does not hold/);
  assert.equal(guard.begin(2, step(3, { slot: 2, start: 4, rows: 1 })), null);
  assert.deepEqual(guard.clear(), { slots: [1, 2], snapshots: [0, 1] });
  assert.equal(guard.begin(1, step(0, { slot: 2, start: 0, rows: 1 })), null, "numbers begin anew");
});

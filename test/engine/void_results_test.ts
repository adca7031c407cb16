/** What counts of the steps that were under way when one failed. */
import { strict as assert } from "node:assert";
import type { Batch } from "../../src/engine/batch.ts";
import { Sequence } from "../../src/engine/sequence.ts";
import { VoidResults } from "../../src/engine/void_results.ts";
import type { Segment } from "../../src/pipeline/steps.ts";

/** A step of a row of each sequence, which begin from and keep snapshots. */
function batch(...parts: readonly (readonly [Sequence, Pick<Segment, "from" | "keep">])[]): Batch {
  const segments = parts.map(([, ends], slot) => ({ slot, start: 4, rows: 1, ...ends }));
  const shares = parts.map(([sequence]) => ({ sequence, run: sequence.run, outputs: 0 }));
  const step = { id: 0, segments, outputs: new Uint32Array() };
  return { step, shares, tokens: new Uint32Array(parts.length), released: null, decodes: true, allDecode: false };
}

const [none, all] = [() => false, () => true];

Deno.test("VoidResults follows what went on from a step that failed, until it is kept or begun anew", () => {
  const results = new VoidResults();
  const [a, b, c] = [0, 1, 2].map((id) => new Sequence(id, new Uint32Array(9))) as [Sequence, Sequence, Sequence];
  assert.deepEqual(results.note(batch([a, { keep: 1 }]), none), []);
  const failed = batch([a, { keep: 2 }]);
  assert.equal(results.reaches(failed), false);
  assert.deepEqual(results.note(failed, all), [2]);
  const next = batch([a, { keep: 3 }], [b, { from: 2, keep: 4 }], [c, { from: 1, keep: 5 }]);
  assert.equal(results.reaches(next), true);
  assert.deepEqual(results.note(next, none), [3, 4]);
  assert.deepEqual(next.shares.map((share) => results.has(share)), [true, true, false]);
  a.restart();
  const anew = batch([a, { from: 1, keep: 4 }]);
  assert.equal(results.reaches(anew), false);
  assert.deepEqual(results.note(anew, none), []);
  assert.deepEqual(results.note(batch([c, { from: 4 }]), none), []);
  assert.deepEqual(results.note(batch([c, { from: 3, keep: 6 }]), none), [6]);
});

/** What a stage tells of its work. */
import { strict as assert } from "node:assert";
import { StageFigures } from "../../src/pool/stage_figures.ts";

Deno.test("rates are those of the time since they were last told, a second at least", () => {
  let now = 0;
  const figures = new StageFigures(() => now);
  figures.computing = true;
  figures.ran(30);
  now = 500;
  figures.computing = false;
  assert.deepEqual(figures.all, { steps: 1, rows: 30, rowsPerSecond: 0, busy: 0 });
  now = 2000;
  assert.deepEqual(figures.all, { steps: 1, rows: 30, rowsPerSecond: 15, busy: 0.25 });
  figures.computing = true;
  now = 2600;
  assert.deepEqual(figures.all, { steps: 1, rows: 30, rowsPerSecond: 15, busy: 0.25 }, "too soon");
  now = 3000;
  figures.ran(7);
  assert.deepEqual(figures.all, { steps: 2, rows: 37, rowsPerSecond: 7, busy: 1 }, "it still computes");
  now = 4000;
  figures.computing = false;
  now = 5000;
  assert.deepEqual(figures.all, { steps: 2, rows: 37, rowsPerSecond: 0, busy: 0.5 });
});

/** The floor's arithmetic against the figures that docs/MODEL.md g derives for the full-size model. */
import { strict as assert } from "node:assert";
import config from "../../bench/ring-mini-linear-2.0.json" with { type: "json" };
import { elements } from "../../src/backend/tensor.ts";
import { parseConfig } from "../../src/model/config.ts";
import { distinctExperts, ModelWork, type StepShape } from "../../src/model/work.ts";

const MINI = parseConfig(config);
const bits = (count: number) => new ModelWork(MINI, ({ shape }) => elements(shape) * count / 8);
const BF16 = bits(16);
const sumOf = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);

/** A row of each sequence, all with so many positions. */
const decode = (sequences: number, context: number): StepShape => ({
  segments: Array.from({ length: sequences }, (_, slot) => ({ slot, start: context - 1, rows: 1 })),
  outputs: sequences,
});

Deno.test("ModelWork counts the published parameters", () => {
  assert.equal(BF16.parameters, 16_423_448_320);
});

Deno.test("ModelWork reads 1,278,867,200 weights a decoded token", () => {
  assert.equal(BF16.step(decode(1, 1)).weightBytes, 2 * 1_278_867_200);
  assert.equal((BF16.step(decode(1, 1)).weightBytes / 1e6).toFixed(1), "2557.7");
  assert.equal((bits(8.5).step(decode(1, 1)).weightBytes / 1e6).toFixed(1), "1358.8");
  assert.equal((bits(4.5).step(decode(1, 1)).weightBytes / 1e6).toFixed(1), "719.4");
});

Deno.test("ModelWork reads and writes 16 MiB of state a sequence, whatever its context", () => {
  assert.equal(BF16.step(decode(1, 1)).stateBytes, 2 * 16 * 2 ** 20);
  assert.equal(BF16.step(decode(32, 100_000)).stateBytes, 32 * 2 * 16 * 2 ** 20);
});

Deno.test("ModelWork reads 16 KiB of f32 cache a token of context, and writes the new token's", () => {
  assert.equal(BF16.step(decode(1, 4096)).cacheBytes, (4096 + 1) * 16 * 2 ** 10);
});

Deno.test("ModelWork computes 2.56 GFLOP of weights, 21 MFLOP of state and 32,768 times the context a token", () => {
  const { flops } = BF16.step(decode(1, 1000));
  const weights = 2 * (1_278_867_200 - 2048); // the embedding is only looked up
  assert.equal(flops, weights + 16 * 16 * 128 * 128 * 5 + 32_768 * 1000);
});

Deno.test("ModelWork leaves out the head of a prefill chunk that wants no logits", () => {
  const chunk = { segments: [{ slot: 0, start: 0, rows: 256 }], outputs: 0 };
  const { weightBytes, flops } = BF16.step(chunk);
  const last = BF16.step({ ...chunk, outputs: 1 });
  assert.equal(last.weightBytes - weightBytes, 2 * 321_912_832);
  assert.equal(last.flops - flops, 2 * 321_912_832);
  assert.ok(weightBytes > 2 * 15.2e9, "256 rows choose nearly all experts");
});

Deno.test("ModelWork reads a tied embedding as the head", () => {
  const tied = new ModelWork({ ...MINI, tied: true }, ({ shape }) => 2 * elements(shape));
  assert.equal(tied.step(decode(1, 1)).weightBytes, 2 * (1_278_867_200 - 2048));
});

Deno.test("distinctExperts() gives the table of docs/MODEL.md g", () => {
  const counts = [1, 8, 32, 64, 128, 256].map((rows) => Math.round(distinctExperts(256, 8, rows)));
  assert.deepEqual(counts, [8, 57, 163, 222, 252, 256]);
});

Deno.test("ModelWork attends the same pairs whichever chunks a text comes in", () => {
  const segments = (...rows: number[]) => rows.map((count, i) => ({ start: sumOf(rows.slice(0, i)), rows: count }));
  const flops = (...rows: number[]) =>
    sumOf(segments(...rows).map((segment) => BF16.step({ segments: [{ slot: 0, ...segment }], outputs: 0 }).flops));
  assert.equal(flops(5, 1, 64), flops(70));
  assert.equal(flops(70) - flops(69), flops(1) + 32_768 * 69);
});

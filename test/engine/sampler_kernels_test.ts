/** The WASM functions of the sampler by themselves: accuracy, order, the draw at full size, random numbers. */
import assert from "node:assert/strict";
import { Memory } from "../../wasm/memory.ts";
import { type SamplerExports, url } from "../../wasm/sampler.ts";
import { generator, normal, ranked } from "./sampler_reference.ts";

const VOCABULARY = 157_184;

Deno.test("weigh() is exp to 2e-7 of itself down to -87, and 0 below", async () => {
  const memory = await Memory.load<SamplerExports>(url);
  const n = 1_000_003; // not a multiple of four
  const logits = memory.alloc("f32", n);
  const weights = memory.alloc("f32", n);
  memory.view("f32", logits, n).set(Float32Array.from({ length: n }, (_, i) => i === 0 ? 0 : -90 * i / n));
  memory.kernels.weigh(logits, 0, 1, weights, n);
  const x = memory.view("f32", logits, n);
  let worst = 0;
  memory.view("f32", weights, n).forEach((weight, i) => {
    const argument = x[i] ?? NaN;
    if (argument < -87) assert.equal(weight, 0);
    else worst = Math.max(worst, Math.abs(weight / Math.exp(argument) - 1));
  });
  assert.ok(worst < 2e-7, `worst ${worst}`);
  assert.equal(memory.view("f32", weights, 1)[0], 1);
});

Deno.test("weigh() gives a logit the same weight in a whole vector and in the rest of a row", async () => {
  const memory = await Memory.load<SamplerExports>(url);
  const values = Array.from({ length: 16 }, (_, i) => -1.7 * i);
  const logits = memory.copy("f32", values);
  const [whole, single] = [memory.alloc("f32", 16), memory.alloc("f32", 1)];
  memory.kernels.weigh(logits, 0, 0.7, whole, 16);
  values.forEach((value, i) => {
    memory.kernels.weigh(memory.copy("f32", [value]), 0, 0.7, single, 1);
    assert.equal(memory.view("f32", single, 1)[0], memory.view("f32", whole, 16)[i]);
  });
});

Deno.test("largest() finds the largest logit and any NaN at every position", async () => {
  const memory = await Memory.load<SamplerExports>(url);
  for (let n = 1; n <= 20; n++) {
    for (let at = 0; at < n; at++) {
      const logits = memory.copy("f32", Array.from({ length: n }, (_, i) => i === at ? -1 : -2));
      assert.equal(memory.kernels.largest(logits, n), -1);
      memory.view("f32", logits, n)[at] = NaN;
      assert.equal(memory.kernels.largest(logits, n), NaN);
    }
  }
});

Deno.test("draw() equals a sorted row's inversion at the size of the real vocabulary", async () => {
  const memory = await Memory.load<SamplerExports>(url);
  const random = generator(3);
  const list = memory.alloc("u32", VOCABULARY);
  const [logits, weights] = [memory.alloc("f32", VOCABULARY), memory.alloc("f32", VOCABULARY)];
  for (const [scale, grid] of [[2, 0], [2, 0.25], [0, 0], [30, 0]] as const) {
    const row = Float32Array.from({ length: VOCABULARY }, () => {
      const logit = scale * normal(random);
      return grid > 0 ? Math.round(logit / grid) * grid : logit;
    });
    memory.view("f32", logits, VOCABULARY).set(row);
    const max = memory.kernels.largest(logits, VOCABULARY);
    for (const temperature of [0.7, 100]) {
      memory.kernels.weigh(logits, max, temperature, weights, VOCABULARY);
      const order = ranked(row);
      const weight = memory.view("f32", weights, VOCABULARY);
      let mass = 0;
      const masses = Float64Array.from(order, (id) => mass += weight[id] ?? NaN);
      for (let i = 0; i < 25; i++) {
        const u = random() || 1;
        const rank = masses.findIndex((mass) => mass >= u * (masses.at(-1) ?? NaN));
        const id = memory.kernels.draw(logits, weights, VOCABULARY, VOCABULARY, 1, -Infinity, u, list);
        assert.equal(id, order[rank]);
        const topK = 1 + Math.floor(random() ** 4 * VOCABULARY);
        const least = masses.findIndex((mass) => mass >= u * (masses[topK - 1] ?? NaN));
        assert.equal(memory.kernels.draw(logits, weights, VOCABULARY, topK, 1, -Infinity, u, list), order[least]);
      }
    }
  }
});

Deno.test("draw() with u 1 takes the last token that is kept, never one beyond", async () => {
  const memory = await Memory.load<SamplerExports>(url);
  const random = generator(4);
  const n = 1000;
  const list = memory.alloc("u32", n);
  const weights = memory.alloc("f32", n);
  const values = Float32Array.from({ length: n }, () => normal(random));
  const logits = memory.copy("f32", values);
  memory.kernels.weigh(logits, memory.kernels.largest(logits, n), 1, weights, n);
  const order = ranked(values);
  for (let topK = 1; topK <= n; topK++) {
    assert.equal(memory.kernels.draw(logits, weights, n, topK, 1, -Infinity, 1, list), order[topK - 1]);
    const floor = values[order[topK - 1] ?? NaN] ?? NaN;
    assert.equal(memory.kernels.draw(logits, weights, n, n, 1, floor, 1, list), order[topK - 1]);
  }
});

Deno.test("draw() with u 1 takes the last token that weighs anything, however the masses of its bucket round", async () => {
  const memory = await Memory.load<SamplerExports>(url);
  const random = generator(6);
  const n = 1001;
  const [list, weights, logits] = [memory.alloc("u32", n), memory.alloc("f32", n), memory.alloc("f32", n)];
  for (let i = 0; i < 50; i++) {
    // All but the last share a bucket, and weigh from 1 to e^-27, too far apart for sums to be exact.
    const values = Float32Array.from({ length: n }, (_, id) => id === n - 1 ? 0 : 96 + 15.99 * random());
    memory.view("f32", logits, n).set(values);
    memory.kernels.weigh(logits, memory.kernels.largest(logits, n), 0.6, weights, n);
    assert.equal(memory.kernels.draw(logits, weights, n, n, 1, -Infinity, 1, list), ranked(values)[n - 2]);
  }
});

Deno.test("uniform() is uniform in (0, 1], over seeds, over positions and over both", async () => {
  const { kernels } = await Memory.load<SamplerExports>(url);
  const n = 100_000;
  const streams: Record<string, (i: number) => number> = {
    "positions of seed 0": (i) => kernels.uniform(0, i),
    "positions of a large seed": (i) => kernels.uniform(2 ** 53 - 1, i),
    "seeds at position 0": (i) => kernels.uniform(i, 0),
    "negative seeds": (i) => kernels.uniform(-i, 5),
    "high bits of the seed": (i) => kernels.uniform(i * 2 ** 32, 0),
    "a diagonal": (i) => kernels.uniform(i, i),
  };
  for (const [name, stream] of Object.entries(streams)) {
    const bins = new Array<number>(64 * 64).fill(0);
    for (let i = 0; i < n; i++) {
      const [u, next] = [stream(2 * i), stream(2 * i + 1)];
      assert.ok(u > 0 && u <= 1);
      const bin = Math.min(Math.floor(u * 64), 63) * 64 + Math.min(Math.floor(next * 64), 63);
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    const expected = n / bins.length;
    const chi = bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    const deviate = (chi - (bins.length - 1)) / Math.sqrt(2 * (bins.length - 1));
    assert.ok(Math.abs(deviate) < 3.5, `${name}: ${deviate}`);
  }
});

Deno.test("uniform() tells apart all 53 bits of a seed", async () => {
  const { kernels } = await Memory.load<SamplerExports>(url);
  const seeds = [0, -1, -(2 ** 53) + 1, ...Array.from({ length: 53 }, (_, bit) => 2 ** bit)];
  assert.equal(new Set(seeds.map((seed) => kernels.uniform(seed, 3))).size, seeds.length);
});

Deno.test("uniform() relates no two seeds, not even those that a multiple of the generator's step tells apart", async () => {
  const { kernels } = await Memory.load<SamplerExports>(url);
  let checked = 0;
  for (let k = 1; k < 20_000; k++) {
    const apart = BigInt.asIntN(64, BigInt(k) * 0x9e3779b97f4a7c15n);
    if (apart > Number.MAX_SAFE_INTEGER || apart < Number.MIN_SAFE_INTEGER) continue;
    assert.notEqual(kernels.uniform(Number(apart), 0), kernels.uniform(0, k));
    checked++;
  }
  assert.ok(checked > 0);
});

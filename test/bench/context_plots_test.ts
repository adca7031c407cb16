/** Curves of speed against context: what is read, where they cross, and the picture. */
import { strict as assert } from "node:assert";
import { crossings, type Curve, curveOf, type Report, valueAt } from "../../bench/plots/curves.ts";
import { type Plot, tokens, toSvg } from "../../bench/plots/line_plot.ts";

function report(speeds: Readonly<Record<number, number>>, batch = 1): Report {
  const results = Object.entries(speeds).map(([promptTokens, speed]) => ({
    ...{ promptTokens: Number(promptTokens), batch },
    ...{ prefill: { tokensPerSecond: speed }, decode: { tokensPerSecond: speed / 10 } },
  }));
  return { ceilings: { device: "CPU" }, results };
}

const curve = (...pairs: readonly (readonly [x: number, y: number])[]): Curve => pairs.map(([x, y]) => ({ x, y }));

Deno.test("curveOf() joins the reports' single sequences by ascending context", () => {
  const reports = [report({ 4096: 50, 1024: 80 }), report({ 2048: 70 }), report({ 2048: 1e6 }, 8)];
  assert.deepEqual(curveOf(reports, "prefill"), curve([1024, 80], [2048, 70], [4096, 50]));
  assert.deepEqual(curveOf(reports, "decode"), curve([1024, 8], [2048, 7], [4096, 5]));
});

Deno.test("curveOf() refuses a context measured twice, and fewer than two", () => {
  assert.throws(
    () => curveOf([report({ 1024: 1, 2048: 1 }), report({ 1024: 2 })], "decode"),
    /1024 tokens measured twice/,
  );
  assert.throws(() => curveOf([report({ 1024: 1 }), report({ 2048: 1 }, 4)], "decode"), /fewer than two contexts/);
});

Deno.test("valueAt() is linear in the logarithm of the context, and null outside", () => {
  const line = curve([1, 0], [4, 10], [16, 30]);
  assert.deepEqual([1, 4, 16].map((x) => valueAt(line, x)), [0, 10, 30]);
  assert.ok(Math.abs(valueAt(line, 2)! - 5) < 1e-12 && Math.abs(valueAt(line, 8)! - 20) < 1e-12);
  assert.deepEqual([valueAt(line, 0.5), valueAt(line, 17)], [null, null]);
});

Deno.test("crossings() are where the interpolated curves are equal, though measured at other contexts", () => {
  const [flat, falling] = [curve([1, 5], [16, 5]), curve([2, 8], [8, 4], [32, 0])];
  const [found, ...others] = crossings(flat, falling);
  assert.equal(others.length, 0);
  // From 8 to 4 over two doublings: 5 is at three quarters of the way.
  assert.ok(Math.abs(found!.x - 2 * 4 ** 0.75) < 1e-9 && Math.abs(found!.y - 5) < 1e-12);
  assert.deepEqual(crossings(falling, flat).map(({ x }) => x.toFixed(9)), [found!.x.toFixed(9)]);
});

Deno.test("crossings() count a measured point that both share once, every change, and no touching", () => {
  const flat = curve([1, 5], [2, 5], [4, 5], [8, 5]);
  assert.deepEqual(crossings(flat, curve([1, 6], [2, 5], [4, 4])).map(({ x }) => x), [2]);
  assert.equal(crossings(flat, curve([1, 6], [2, 4], [4, 6], [8, 4])).length, 3);
  assert.deepEqual(crossings(flat, curve([1, 6], [2, 5], [4, 6])), []);
  assert.deepEqual(crossings(flat, curve([1, 6], [8, 5.5])), []);
  assert.deepEqual(crossings(curve([1, 5], [2, 5]), curve([4, 1], [8, 9])), []);
});

const PLOT: Plot = {
  ...{ title: "Speed <1>", subtitle: "of a device", xLabel: "context", yLabel: "tokens a second" },
  curves: [
    { name: "hybrid", points: curve([1024, 90], [4096, 80], [131072, 71]) },
    { name: "softmax", points: curve([1024, 100], [4096, 60], [131072, 70]) },
  ],
  marks: [{ x: 2048, y: 85, text: "cross at 2K" }],
};

Deno.test("toSvg() draws every point within the area, larger speeds higher, with ticks from end to end", () => {
  const svg = toSvg(PLOT);
  const dots = [...svg.matchAll(/class="dot(\d)" cx="([\d.]+)" cy="([\d.]+)"/g)].map((match) =>
    match.slice(1).map(Number)
  );
  assert.equal(dots.length, 6);
  const [hybrid, softmax] = [0, 1].map((which) => dots.filter(([index]) => index === which)) as [
    number[][],
    number[][],
  ];
  assert.deepEqual(hybrid.map(([, x]) => x), softmax.map(([, x]) => x));
  assert.ok(hybrid[0]![2]! > softmax[0]![2]! && hybrid[1]![2]! < softmax[1]![2]!);
  // 1K to 4K is two of seven doublings.
  const share = (hybrid[1]![1]! - hybrid[0]![1]!) / (hybrid[2]![1]! - hybrid[0]![1]!);
  assert.ok(Math.abs(share - 2 / 7) < 1e-3);
  for (const label of ["1K", "2K", "64K", "128K", "100", "cross at 2K", "Speed &lt;1&gt;"]) {
    assert.ok(svg.includes(`>${label}</text>`), label);
  }
  assert.match(svg, /prefers-color-scheme: dark/);
});

Deno.test("toSvg() keeps the names of curves that end together apart", () => {
  const [a, b] = [...toSvg(PLOT).matchAll(/class="name\d" x="[\d.]+" y="([\d.]+)"/g)].map((match) => Number(match[1]));
  assert.ok(Math.abs(a! - b!) >= 18);
});

Deno.test("tokens() counts in K", () => {
  assert.deepEqual([500, 1024, 3174.4, 131072].map(tokens), ["500", "1K", "3.1K", "128K"]);
});

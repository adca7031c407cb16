/** Who computes, by planted measurements: hardware first, then the least predicted time, and the built-in unless another is clearly faster. */
import { strict as assert } from "node:assert";
import { chooseProvider, isSameGpu, predict, type ReplyWork } from "../../src/load/provider_choice.ts";
import type { Computer, Figures, ProviderRow } from "../../src/stage/providers.ts";

/** A GPU of 1 TB/s and 10 TFLOP/s. */
const GPU: Figures = {
  ...{ device: "A GPU", identity: "deno: A GPU (1 2)", hardware: true, features: [] },
  ...{ roundTripMillis: 0.16, recordMicros: 5, dispatchMicros: 2 },
  ...{ bandwidth: 1e12, flops: 1e13, matrixFlops: null },
};

/** 100 layers; a prompt of 1 TFLOP, a token of 1 GB. */
const WORK: ReplyWork = { layers: 100, prompt: { bytes: 10e9, flops: 1e12 }, token: { bytes: 1e9, flops: 1e9 } };

const row = (computer: Computer, figures: Partial<Figures> = {}): ProviderRow => ({
  computer,
  figures: { ...GPU, ...figures },
  error: null,
});

const failed = (computer: Computer): ProviderRow => ({ computer, figures: null, error: "it broke" });

const SOFTWARE = { hardware: false, device: "llvmpipe", identity: "deno: llvmpipe (1 0)" };

const choose = (rows: readonly ProviderRow[], may = { wasm: true }) => chooseProvider(rows, WORK, may);

const near = (actual: number, expected: number) => assert.ok(Math.abs(actual / expected - 1) < 1e-9, `${actual}`);

Deno.test("predict() lets a GPU work beside the host, and a CPU do one after the other", () => {
  const gpu = predict(GPU, WORK);
  near(gpu.tokenMillis, 3.5 + 0.01); // 700 dispatches recorded take longer than 1 ms of bytes and 1.4 of dispatches
  near(gpu.promptMillis, 0.16 + 100);
  near(gpu.replyMillis, gpu.promptMillis + 200 * gpu.tokenMillis);
  near(predict({ ...GPU, recordMicros: 1 }, WORK).tokenMillis, 1 + 1.4 + 0.01);
  near(predict({ ...GPU, hardware: false }, WORK).tokenMillis, 1.5 + 0.6 + 1 + 0.01);
});

Deno.test("predict() has matrix units compute a prompt where there are any, unless its bytes need longer", () => {
  near(predict({ ...GPU, matrixFlops: 5e13 }, WORK).promptMillis, 0.16 + 20);
  near(predict({ ...GPU, matrixFlops: 1e15 }, WORK).promptMillis, 0.16 + 10);
  near(predict({ ...GPU, matrixFlops: 5e12 }, WORK).promptMillis, 0.16 + 200);
});

Deno.test("chooseProvider() takes another than the built-in for 3 % less, not for 2", () => {
  const faster = (part: number) =>
    row("wgpu-native", { bandwidth: 1e12 / part, recordMicros: 5 * part, flops: 1e13 / part });
  assert.equal(choose([row("deno"), faster(0.96)])?.computer, "wgpu-native");
  assert.equal(choose([row("deno"), faster(0.98)])?.computer, "deno");
  assert.equal(
    choose([row("deno"), faster(0.98), row("dawn", { matrixFlops: 1e14, recordMicros: 2 })])?.computer,
    "dawn",
  );
});

Deno.test("chooseProvider() gives its reason in one sentence", () => {
  const reason = (rows: readonly ProviderRow[]) => choose(rows)?.reason;
  assert.equal(
    reason([row("deno"), row("wgpu-native", { recordMicros: 2 })]),
    "a reply of 200 tokens to 1024 is predicted to take 0.582 s by wgpu-native and 0.802 s by deno",
  );
  assert.equal(
    reason([row("deno"), row("wgpu-native", { recordMicros: 4.9 })]),
    "a reply of 200 tokens to 1024 is predicted to take 0.802 s by deno and 0.788 s by wgpu-native, which is not 3 % less",
  );
  assert.equal(reason([row("deno"), failed("wgpu-native")]), "nobody else than deno computes here");
  assert.match(
    reason([row("deno", SOFTWARE), row("wasm", { ...SOFTWARE, roundTripMillis: 0, recordMicros: 0 })])!,
    /^there is no GPU but what the CPU computes; a reply .* by wasm and .* by deno$/,
  );
});

Deno.test("chooseProvider() takes a GPU before WASM and software, however fast these are", () => {
  const slow = { bandwidth: 1e9, flops: 1e9 };
  assert.equal(choose([row("deno", slow), row("wasm", SOFTWARE)])?.computer, "deno");
  assert.equal(
    choose([row("deno", SOFTWARE), row("wgpu-native", slow), row("wasm", SOFTWARE)])?.computer,
    "wgpu-native",
  );
});

Deno.test("chooseProvider() takes software only where it is faster than WASM, or WASM may not compute", () => {
  const software = (part: number) =>
    row("deno", {
      ...SOFTWARE,
      bandwidth: 1e12 / part,
      flops: 1e13 / part,
      recordMicros: 0,
      dispatchMicros: 0,
      roundTripMillis: 0,
    });
  const wasm = row("wasm", { ...SOFTWARE, recordMicros: 0, dispatchMicros: 0, roundTripMillis: 0 });
  assert.equal(choose([software(1), wasm])?.computer, "wasm");
  assert.equal(choose([software(0.98), wasm])?.computer, "wasm");
  assert.equal(choose([software(0.9), wasm])?.computer, "deno");
  assert.equal(choose([software(9), wasm], { wasm: false })?.computer, "deno");
});

Deno.test("chooseProvider() leaves out who failed, and is null where nobody is left", () => {
  assert.equal(choose([failed("deno"), row("wgpu-native")])?.computer, "wgpu-native");
  assert.equal(choose([failed("deno"), failed("wgpu-native")]), null);
  assert.equal(choose([failed("deno"), row("wasm", SOFTWARE)], { wasm: false }), null);
});

Deno.test("chooseProvider() compares providers on one GPU, which others may write otherwise", () => {
  const fast = { recordMicros: 1, flops: 1e14 };
  const another = { device: "B GPU", identity: "wgpu-native: B GPU (1 3)" };
  const dawn = { device: "A: 580.95.05", identity: "dawn: A: 580.95.05 (a hopper a-gpu)" };
  assert.equal(choose([row("deno"), row("wgpu-native", { ...fast, ...another })])?.computer, "deno");
  assert.equal(choose([row("deno"), row("dawn", { ...fast, ...dawn })])?.computer, "dawn");
  assert.ok(isSameGpu(GPU, { ...GPU, ...dawn }) && isSameGpu({ ...GPU, ...dawn }, GPU));
  assert.ok(!isSameGpu(GPU, { ...GPU, ...another }));
});

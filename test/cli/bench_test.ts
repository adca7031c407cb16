import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { median } from "../../src/cli/bench_figures.ts";
import { measure, StepLog } from "../../src/cli/bench_run.ts";
import type { Engine } from "../../src/cli/host.ts";
import type { EngineSettings, StageInfo, StepReport } from "../../src/mod.ts";
import { ringlet } from "./fake_host.ts";

const STAGE: StageInfo = {
  layers: { start: 0, end: 10 },
  backend: "wasm",
  device: "CPU",
  weightBytes: 2e6,
  stateBytes: 3e6,
  cacheBytes: 4e6,
  vocabulary: 100,
};

/** Prefills in chunks of `chunk`, by turns with a step of those that decode, for each device a part; prompt steps take 10 ms a token, others 3. */
class FakeEngine implements Engine {
  readonly info;
  readonly prompts: (readonly number[])[] = [];
  readonly #running: { readonly slot: number; readonly prompt: number; at: number; end: number; ended: () => void }[] =
    [];
  #stepping = false;

  constructor(readonly hear: (report: StepReport) => void, readonly chunk: number, context: number, devices = 1) {
    this.info = { stages: Array(devices).fill(STAGE), devices, context, slots: 4, vocabulary: 100 };
  }

  generate(
    { prompt, maxTokens }: Parameters<Engine["generate"]>[0],
    signal?: AbortSignal,
  ): ReturnType<Engine["generate"]> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.prompts.push([...prompt]);
    const end = Math.min(prompt.length + maxTokens, this.info.context);
    const slot = [0, 1, 2, 3].find((slot) => this.#running.every((other) => other.slot !== slot))!;
    const sequence = { slot, prompt: prompt.length, at: 0, end, ended: resolve };
    this.#running.push(sequence);
    signal?.addEventListener("abort", () => this.#end(sequence));
    if (!this.#stepping) this.#step();
    const stats = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0, prefillMillis: 0, decodeMillis: 0 };
    return {
      result: promise.then(() => ({ finish: "abort", stats })),
      [Symbol.asyncIterator]: () => ({ next: () => promise.then(() => ({ done: true, value: undefined })) }),
    };
  }

  #end(sequence: { readonly ended: () => void }): void {
    const at = this.#running.findIndex((other) => other === sequence);
    if (at >= 0) this.#running.splice(at, 1);
    sequence.ended();
  }

  async #step(): Promise<void> {
    this.#stepping = true;
    for (let turn = 0; this.#running.length > 0; turn++) {
      const reading = this.#running.find(({ at, prompt }) => at < prompt);
      const all = this.#running.filter(({ at, prompt }) => at >= prompt).sort((a, b) => a.at - b.at);
      const decoding = all.slice(0, Math.ceil(all.length / this.info.devices));
      const chosen = reading && (turn % 2 === 0 || decoding.length === 0) ? [reading] : decoding;
      const segments = chosen.map(({ slot, at, prompt }) => {
        return { slot, start: at, rows: at < prompt ? Math.min(this.chunk, prompt - at) : 1 };
      });
      const rows = segments.reduce((sum, segment) => sum + segment.rows, 0);
      const millis = chosen[0] === reading ? 10 * rows : 3;
      chosen.forEach((sequence, i) => sequence.at += segments[i]!.rows);
      this.hear({ segments, outputs: segments.length, millis, gpuMillis: millis / 2 });
      for (const sequence of chosen.filter(({ at, end }) => at >= end)) this.#end(sequence);
      await setImmediate();
    }
    this.#stepping = false;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const work = {
  parameters: 1000,
  step: () => ({ weightBytes: 1e6, stateBytes: 5e5, cacheBytes: 0, flops: 1e5 }),
};

function host(opened: EngineSettings[] = [], devices = 1) {
  return {
    openEngine: (settings: EngineSettings) => {
      opened.push(settings);
      return Promise.resolve(new FakeEngine(settings.onStep!, settings.chunkRows!, settings.maxContext!, devices));
    },
    modelWork: () => Promise.resolve(work),
  };
}

Deno.test("bench --json gives medians of prompts and decode steps, device time and the floor of each", async () => {
  const opened: EngineSettings[] = [];
  const flags = ["--prompt-tokens", "20", "--batch", "1,3", "--gen-tokens", "5", "--chunk", "8", "--json"];
  const { code, out, err } = await ringlet(["bench", ...flags], { host: host(opened) });
  assert.deepEqual([code, err], [0, ""]);
  const { results, ceilings, model, peakMemoryBytes } = JSON.parse(out);
  if (Deno.build.os === "linux") assert.ok(peakMemoryBytes >= Deno.memoryUsage().rss / 2);
  else assert.equal(peakMemoryBytes, null);
  assert.equal(ceilings.bandwidth, 1e9);
  assert.equal(model.parameters, 1000);
  assert.deepEqual(results.map(({ batch }: { batch: number }) => batch), [1, 3]);
  for (const { batch, prefill, decode } of results) {
    // Chunks of 8, 8 and 4 rows; each step moves 1.5 MB, which takes 1.5 ms at 1 GB/s.
    assert.deepEqual([prefill.tokens, prefill.millis, prefill.gpuMillis, prefill.floorMillis], [20, 200, 100, 4.5]);
    assert.equal(prefill.tokensPerSecond, 100);
    assert.deepEqual([prefill.wallOverGpu, decode.wallOverGpu], [2, 2]);
    assert.deepEqual([decode.tokens, decode.millis, decode.gpuMillis, decode.floorMillis], [batch, 3, 1.5, 1.5]);
    assert.equal(decode.tokensPerSecond, batch / 3 * 1e3);
  }
  assert.equal(opened[0]!.maxSequences, 3);
});

Deno.test("bench prints the device, the model and two lines for each combination", async () => {
  const flags = ["--prompt-tokens", "20", "--batch", "2", "--gen-tokens", "5", "--chunk", "8"];
  const { out } = await ringlet(["bench", ...flags], { host: host() });
  assert.match(out, /^CPU: reads 1\.00 GB\/s, computes 1\.00 GFLOP\/s in f32\n/);
  assert.match(out, /\nprefill +20 +2 +100 +100 +200 +100 +2\.00 +4\.50 +2\.25 % +4\.5 MB +300 k\n/);
  assert.match(out, /\ndecode +20 +2 +667 +333 +3\.00 +1\.50 +2\.00 +1\.50 +50\.0 % +1\.5 MB +100 k\n/);
});

Deno.test("bench adds up the steps of a batch's parts on several devices, which divide the floor", async () => {
  const flags = ["--prompt-tokens", "20", "--batch", "1,4", "--gen-tokens", "5", "--chunk", "8"];
  const { out } = await ringlet(["bench", ...flags, "--json"], { host: host([], 2) });
  const [one, four] = JSON.parse(out).results;
  for (const { prefill } of [one, four]) assert.deepEqual([prefill.millis, prefill.floorMillis], [200, 4.5 / 2]);
  assert.deepEqual([one.decode.millis, one.decode.gpuMillis, one.decode.floorMillis], [3, 1.5, 1.5]);
  assert.deepEqual([four.decode.millis, four.decode.gpuMillis, four.decode.floorMillis], [6, 3, 1.5]);
  assert.deepEqual([four.decode.tokens, four.decode.tokensPerSecond], [4, 4 / 6 * 1e3]);
  assert.match((await ringlet(["bench", ...flags], { host: host([], 2) })).out, /^CPU in 2 stages on 2 devices: reads/);
});

Deno.test("bench takes a config only with random weights, and opens that file", async () => {
  const refused = await ringlet(["bench", "--config", "a.json"], { host: host() });
  assert.equal(refused.code, 2);
  assert.match(refused.err, /--config has no weights: add --random-weights/);
  const opened: EngineSettings[] = [];
  const flags = ["--config", "a.json", "--random-weights", "--prompt-tokens", "3", "--gen-tokens", "2"];
  assert.equal((await ringlet(["bench", ...flags], { host: host(opened) })).code, 0);
  assert.deepEqual([opened[0]!.model, opened[0]!.randomWeights], ["a.json", true]);
});

Deno.test("bench says when the context is too short to decode together for so long", async () => {
  const flags = ["--prompt-tokens", "20", "--batch", "2", "--gen-tokens", "9", "--max-context", "25", "--json"];
  const { code, err } = await ringlet(["bench", ...flags], { host: host() });
  assert.equal(code, 1);
  assert.match(err, /Cannot measure 2 sequences of 20 \+ \d+ tokens: they decoded .* raise --max-context/);
});

Deno.test("measure() gives each sequence other tokens, and leaves out what still runs of those before", async () => {
  const log = new StepLog();
  const engine = new FakeEngine(log.hear, 8, 1000);
  const signal = new AbortController().signal;
  const combination = { promptTokens: 20, batch: 2, genTokens: 3 };
  await measure(engine, log, { ...combination, promptTokens: 10 }, 8, signal);
  const stray = { segments: [{ slot: 0, start: 12, rows: 1 }], outputs: 1, millis: 1e9, gpuMillis: 1e9 };
  const measured = measure(engine, log, combination, 8, signal);
  log.hear(stray);
  const { prefills, decodes } = await measured;
  assert.deepEqual(prefills.map((steps) => steps.length), [3, 3]);
  assert.deepEqual(decodes.map((steps) => steps.map(({ millis }) => millis)), [[3], [3], [3]]);
  assert.ok(decodes.every(([step]) => step!.segments.length === 2));
  assert.equal(new Set(engine.prompts.map(String)).size, 4);
});

Deno.test("median() is the middle, or the mean of the two middles", () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 3, 2]), median([7])], [2, 2.5, 7]);
});

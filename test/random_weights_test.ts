/** A model without a checkpoint, through real workers: it computes numbers, chooses many experts, and reports its steps. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { EMBEDDED_MODEL, openEngine, type Quantize, type StepReport } from "../src/mod.ts";
import { testOnBackends } from "./backend/backends.ts";
import { DEVICE_FILE } from "./device_file.ts";
import { GPU } from "./gpu.ts";

const CONFIG = `${EMBEDDED_MODEL}/config.json`;
const TOKENS = Uint32Array.from({ length: 40 }, (_, i) => (i * 7919) % 4096);

async function logprobs(backend: "wasm" | "webgpu", stages: number, quantize: Quantize): Promise<Float64Array> {
  const device = { backend, gpu: GPU, stages, deviceFile: DEVICE_FILE };
  await using engine = await openEngine({ model: CONFIG, randomWeights: true, maxContext: 64, quantize, ...device });
  const all: number[] = [];
  for await (const rows of engine.score({ tokens: TOKENS, logits: false, chunks: [] })) all.push(...rows.logprobs);
  return Float64Array.from(all.slice(1));
}

const QUANTIZED = ["none", "q8", "q4"] as const;

/** In one stage, by backend and type. */
const wholes = new Map<string, Promise<Float64Array>>();

function whole(backend: "wasm" | "webgpu", quantize: Quantize): Promise<Float64Array> {
  const key = `${backend} ${quantize}`;
  const known = wholes.get(key) ?? logprobs(backend, 1, quantize);
  wholes.set(key, known);
  return known;
}

testOnBackends("random weights of every type give an even draw's numbers", async ({ name }) => {
  for (const quantize of QUANTIZED) {
    const all = await whole(name, quantize);
    assert.equal(all.length, TOKENS.length - 1);
    const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
    // Logits of variance 1 about 0: the mean is -ln V - 1/2, and so much the log-sum-exp adds.
    assert.ok(Math.abs(mean + Math.log(4096) + 0.5) < 1, `${quantize}: mean log-probability ${mean}`);
  }
});

/** A stage takes seconds to open on a software GPU; with experts in 4 bits the others are in 8. */
const CUT = { wasm: QUANTIZED, webgpu: ["q4"] } as const;

testOnBackends("random weights are equal in 1 and 2 stages", async ({ name }) => {
  for (const quantize of CUT[name]) {
    assert.deepEqual(await logprobs(name, 2, quantize), await whole(name, quantize), quantize);
  }
});

testOnBackends("openEngine() reports every step, with the device's time where it has a clock", async ({ name }) => {
  const reports: StepReport[] = [];
  await using engine = await openEngine({
    ...{ model: CONFIG, randomWeights: true, backend: name, gpu: GPU, maxContext: 64, chunkRows: 16, stages: 2 },
    deviceFile: DEVICE_FILE,
    onStep: (report) => reports.push(report),
  });
  const sampling = {
    ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
    ...{ presencePenalty: 0, frequencyPenalty: 0, logitBias: [], seed: 1 },
  };
  const request = { prompt: TOKENS, maxTokens: 4, stopTokens: [], sampling, logprobs: null, thinking: null };
  const begun = performance.now();
  assert.equal((await engine.generate(request).result).stats.generatedTokens, 4);
  while (reports.length < 6) await setImmediate(); // the last one comes after the news that all is finished
  const wall = performance.now() - begun;
  assert.deepEqual(reports.map(({ segments }) => segments.map(({ start, rows }) => [start, rows])).flat(), [
    ...[[0, 16], [16, 16], [32, 8]],
    ...[[40, 1], [41, 1], [42, 1]],
  ]);
  assert.ok(reports.every(({ millis }) => millis > 0));
  const told = reports.reduce((sum, { millis }) => sum + millis, 0);
  assert.ok(told < wall, `steps of ${told} ms in ${wall} ms`);
  if (name === "wasm") assert.ok(reports.every(({ gpuMillis }) => gpuMillis === null));
  else assert.ok(reports.every(({ gpuMillis }) => gpuMillis! > 0));
});

Deno.test("openEngine() names a configuration that is not there", async () => {
  const message = /Cannot open .*none\.json as a model's configuration: there is none/;
  await assert.rejects(openEngine({ model: "/tmp/none.json", randomWeights: true }), { message });
});

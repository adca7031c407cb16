/** A model that one WASM memory does not hold: it gets several by itself, answers to the bit as in one, and says what does not fit. */
import { strict as assert } from "node:assert";
import { modelSplit, openEngine, type StageShare } from "../../src/mod.ts";
import type { GeneratedToken } from "../../src/pipeline/requests.ts";
import { request } from "./local_engine.ts";

const PROMPT = Array.from({ length: 300 }, (_, i) => i * 37 % 4000);

/** ring-nano has 26.5 MB of weights. */
const SMALL_MEMORY = 24 * 2 ** 20;

interface Answers {
  /** Layers of each stage. */
  readonly layers: readonly string[];
  /** What was told of a split. */
  readonly told: readonly StageShare[];
  readonly answers: readonly GeneratedToken[][];
}

async function answersIn(memoryBytes: number | undefined): Promise<Answers> {
  const told: StageShare[] = [];
  await using engine = await openEngine({
    ...{ backend: "wasm", threads: 2, maxContext: 512, maxSequences: 2, prefixCache: 4 * 2 ** 20, chunkRows: 64 },
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    onSplit: (stages) => told.push(...stages),
  });
  const wanted = [5, 130].map((length) => request(PROMPT.slice(0, length), { maxTokens: 8, logprobs: 2 }));
  const answers = await Promise.all(wanted.map((one) => Array.fromAsync(engine.generate(one))));
  return { layers: engine.info.stages.map(({ layers: { start, end } }) => `${start}-${end - 1}`), told, answers };
}

Deno.test("a model that a memory does not hold gets several, and answers with the bits that it has in one", async () => {
  const one = await answersIn(undefined);
  assert.deepEqual([one.layers, one.told], [["0-9"], []]);
  const several = await answersIn(SMALL_MEMORY);
  assert.ok(several.layers.length > 1, `${several.layers}`);
  assert.deepEqual(several.told.map(({ layers: { start, end } }) => `${start}-${end - 1}`), several.layers);
  assert.deepEqual(several.answers, one.answers);
});

Deno.test("a split has as much in each memory as in others, embedding and head counted", async () => {
  const { stages, neededBytes } = await modelSplit({
    model: "bench/ring-mini-linear-2.0.json",
    randomWeights: true,
    quantize: "q4",
    maxContext: 1024,
  });
  assert.deepEqual(stages.map(({ layers }) => layers), [
    { start: 0, end: 7 },
    { start: 7, end: 14 },
    { start: 14, end: 20 },
  ]);
  const bytes = stages.map(({ weightBytes }) => weightBytes);
  assert.ok(Math.max(...bytes) < 1.1 * Math.min(...bytes) && Math.max(...bytes) < 2 ** 32, `${bytes}`);
  assert.ok(neededBytes > 10.7e9 && neededBytes < 11.2e9, `${neededBytes}`);
});

Deno.test("a model of which a layer is too large for a memory is refused, with what to change", async () => {
  await assert.rejects(modelSplit({ memoryBytes: 9 * 2 ** 20 }), {
    name: "RangeError",
    message: /^Cannot hold layer \d on a WASM memory: it has room for 1\.0 MB, and it takes .*; use --quantize q4$/,
  });
});

Deno.test("stages that were asked for and do not fit their memories are refused, whichever it is", async () => {
  for (const layers of ["0-7,8-9", "0-1,2-9"]) {
    await assert.rejects(openEngine({ backend: "wasm", layers, memoryBytes: 26 * 2 ** 20, maxContext: 512 }), {
      name: "RangeError",
      message:
        /^Cannot hold layers [02]-[79] on a WASM memory: it has room for 18\.9 MB, .*; use --quantize q4 or more --stages$/,
    });
  }
});

Deno.test("a model that the computer's memory does not hold is refused before anything is loaded", async () => {
  const model = await Deno.makeTempFile({ suffix: ".json" });
  const config = JSON.parse(await Deno.readTextFile("bench/ring-mini-linear-2.0.json"));
  await Deno.writeTextFile(model, JSON.stringify({ ...config, num_hidden_layers: 512, num_experts: 256 }));
  const told: number[] = [];
  const onProgress = (loaded: number) => told.push(loaded);
  await assert.rejects(openEngine({ backend: "wasm", model, randomWeights: true, maxContext: 1024, onProgress }), {
    message:
      /^Cannot hold layers 0-511 on the CPU: \d+\.\d [MG]B of memory are free, and they take 8\d\d\.\d GB of weights, .*; use --quantize q4$/,
  });
  assert.deepEqual(told, []);
  await Deno.remove(model);
});

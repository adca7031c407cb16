/** The embedded model through real workers: golden tokens, tasks and seeds, whatever computes and however it is cut. */
import { strict as assert } from "node:assert";
import { fold, load, type LoadOptions } from "../src/mod.ts";
import { isRight, readTasks, type Task } from "../src/cli/task_file.ts";
import { EngineClient } from "../src/engine/client.ts";
import { loadConfig } from "../src/model/load_config.ts";
import type { GenerateRequest, SamplingParams } from "../src/pipeline/requests.ts";
import { partition } from "../src/pipeline/partition.ts";
import { BACKENDS, type TestedBackend, testOnBackends } from "./backend/backends.ts";
import { DEVICE_FILE } from "./device_file.ts";
import { fileURLToPath } from "node:url";
import { GPU } from "./gpu.ts";

const MODEL = fileURLToPath(new URL("../models/ring-nano", import.meta.url));
const EVALUATION = `${MODEL}-eval.jsonl`;

interface Golden {
  readonly prompts: readonly {
    readonly name: string;
    readonly prompt_ids: readonly number[];
    readonly greedy_ids: readonly number[];
    readonly last_top10: readonly { readonly id: number; readonly logit: number }[];
  }[];
}

const golden = JSON.parse(await Deno.readTextFile(`${MODEL}-golden.json`)) as Golden;

const GREEDY: SamplingParams = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  seed: 0,
};

/** Opened once for all tests. */
const engines = new Map<string, Promise<EngineClient>>();
Deno.test.afterAll(async () => {
  for (const engine of engines.values()) await (await engine)[Symbol.asyncDispose]();
});

function engineOf({ name }: TestedBackend, stages: number): Promise<EngineClient> {
  const key = `${name} ${stages}`;
  const engine = engines.get(key) ?? openEngine(name, stages);
  engines.set(key, engine);
  return engine;
}

async function openEngine(name: TestedBackend["name"], stages: number): Promise<EngineClient> {
  const { layers } = await loadConfig(MODEL);
  return await EngineClient.open({
    model: MODEL,
    layers: partition(layers, stages),
    backend: name,
    gpu: GPU,
    decay: "serving",
    ropeScaling: null,
    quantize: "none",
    kvCache: "f32",
    slots: 1,
    context: 1024,
    maxRows: 256,
  });
}

function request(prompt: readonly number[], maxTokens: number, sampling = GREEDY): GenerateRequest {
  return { prompt: Uint32Array.from(prompt), maxTokens, stopTokens: [], sampling, logprobs: null, thinking: null };
}

async function ids(engine: EngineClient, asked: GenerateRequest): Promise<number[]> {
  return await Array.fromAsync(engine.generate(asked), ({ id }) => id);
}

testOnBackends("greedy continuations are the golden file's, with 1 and with 3 stages", async (backend) => {
  for (const stages of [1, 3]) {
    const engine = await engineOf(backend, stages);
    for (const { name, prompt_ids, greedy_ids } of golden.prompts) {
      assert.deepEqual(
        await ids(engine, request(prompt_ids, greedy_ids.length)),
        greedy_ids,
        `${name}, ${stages} stages`,
      );
    }
  }
});

testOnBackends("score() gives the golden file's largest logits", async (backend) => {
  const engine = await engineOf(backend, 1);
  for (const { name, prompt_ids, last_top10 } of golden.prompts) {
    const tokens = Uint32Array.from(prompt_ids);
    const rows = await Array.fromAsync(engine.score({ tokens, logits: true, chunks: [] }));
    const last = rows.at(-1)!.logits!.slice(-engine.info.vocabulary);
    const largest = Math.abs(last_top10[0]!.logit);
    for (const { id, logit } of last_top10) {
      assert.ok(Math.abs(last[id]! - logit) <= 1e-5 * largest, `${name}: logit of ${id} is ${last[id]}, not ${logit}`);
    }
  }
});

Deno.test("a seed gives the same tokens on every backend, with 1 and with 3 stages", async () => {
  const sampling = { ...GREEDY, temperature: 1.5, topP: 0.98, repetitionPenalty: 1.1, seed: 20 };
  const asked = request(golden.prompts[0]!.prompt_ids, 64, sampling);
  const all: number[][] = [];
  for (const backend of BACKENDS) {
    for (const stages of [1, 3]) {
      const engine = await engineOf(backend, stages);
      all.push(await ids(engine, asked));
    }
  }
  assert.notDeepEqual(all[0], golden.prompts[0]!.greedy_ids);
  for (const tokens of all) assert.deepEqual(tokens, all[0]);
});

/** Tasks of each kind, and how many of all of them the card's reference answers right. */
const TASKS = { wasm: { perKind: 12, right: 119 }, webgpu: { perKind: 2, right: 20 } } as const;

testOnBackends("the first tasks of each kind are answered as the card says", async ({ name }) => {
  await using chat = await load({
    backend: name,
    gpu: GPU,
    maxContext: 2048,
    maxSequences: 4,
    deviceFile: DEVICE_FILE,
  });
  const { perKind, right: expected } = TASKS[name];
  const kinds = Object.values(Object.groupBy(await readTasks(EVALUATION), ({ task }) => task));
  const tasks = kinds.flatMap((kind) => kind!.slice(0, perKind));
  assert.equal(tasks.length, 10 * perKind);
  let right = 0;
  const answer = async (task: Task) => {
    const { messages, tools, enable_thinking: thinking } = task;
    const reply = await fold(
      chat.stream({ messages, ...(tools && { tools }), ...(thinking !== undefined && { thinking }) }),
    );
    if (isRight(task, reply)) right++;
  };
  await Promise.all(tasks.map(answer));
  assert.equal(right, expected);
});

Deno.test("load() refuses options that do not fit the model, in one sentence", async () => {
  const cases: readonly (readonly [LoadOptions, RegExp])[] = [
    [{ maxContext: 9000 }, /^Cannot hold a context of 9000 tokens: the model has positions for 8192/],
    [{ stages: 11 }, /^Cannot .* 11 stages/],
    [{ layers: "0-3,5-9" }, /layer/],
    [{ model: "/nowhere" }, /^Cannot open \/nowhere as a model: it has no config.json$/],
    [{ ropeScaling: "yarn:0" }, /^Cannot use "yarn:0" as a RoPE scaling/],
  ];
  for (const [options, message] of cases) {
    await assert.rejects(load({ ...options, deviceFile: DEVICE_FILE }), { message });
  }
});

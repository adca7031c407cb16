/** The engine in its own workers: same tokens, prompt aborts, clear errors when a worker dies, and nothing left behind. */
import { strict as assert } from "node:assert";
import { pathToFileURL } from "node:url";
import { EngineClient, type EngineHooks } from "../../src/engine/client.ts";
import { EngineBusyError, EngineError, TooLongError } from "../../src/engine/engine_error.ts";
import type { EngineOptions } from "../../src/pipeline/messages.ts";
import type { GeneratedToken } from "../../src/pipeline/requests.ts";
import { partition } from "../../src/pipeline/partition.ts";
import { expectedTokens, type FakeBehaviour, STAGE_OPTIONS } from "../stage/fake_stage.ts";
import { GREEDY, request } from "./local_engine.ts";

const DEPTH = 3; // of the fake workers' models
const WORKERS = new URL("fake_workers/", import.meta.url);
const PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3];

function options(stages: number, behaviour: FakeBehaviour = {}, changes: Partial<EngineOptions> = {}): EngineOptions {
  const layers = partition(DEPTH, stages);
  return { ...STAGE_OPTIONS, model: JSON.stringify(behaviour), layers, context: 5000, maxRows: 4, ...changes };
}

function open(stages: number, behaviour: FakeBehaviour = {}, hooks: EngineHooks = {}): Promise<EngineClient> {
  return EngineClient.open(options(stages, behaviour), { workers: WORKERS, ...hooks });
}

/** Opens an engine whose worker is `source`. */
async function openSource(source: string, signal?: AbortSignal): Promise<EngineClient> {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/engine.ts`, source);
  try {
    return await open(1, {}, { workers: pathToFileURL(`${folder}/`), ...(signal ? { signal } : {}) });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function ids(tokens: AsyncIterable<GeneratedToken>): Promise<number[]> {
  const ids: number[] = [];
  for await (const { id } of tokens) ids.push(id);
  return ids;
}

for (const stages of [1, 2, 3]) {
  Deno.test(`EngineClient with ${stages} stages streams what the tokens determine, and says what it did`, async () => {
    const progress: number[][] = [];
    await using client = await open(stages, {}, { onProgress: (...bytes) => progress.push(bytes) });
    assert.deepEqual(progress.at(-1), [3, 3]);
    assert.deepEqual(client.info.stages.map(({ layers }) => layers), partition(DEPTH, stages));
    assert.deepEqual([client.info.context, client.info.slots, client.info.vocabulary], [5000, 1, 50]);
    const generations = [0, 1].map((id) => client.generate(request([id, ...PROMPT])));
    for (const [id, generation] of generations.entries()) {
      assert.deepEqual(await ids(generation), expectedTokens(DEPTH, [id, ...PROMPT], 8));
      const { finish, stats } = await generation.result;
      assert.equal(finish, "length");
      assert.deepEqual([stats.promptTokens, stats.generatedTokens], [11, 8]);
      assert.ok(stats.prefillMillis > 0 && stats.decodeMillis > 0, JSON.stringify(stats));
    }
    let rows = 0;
    for await (
      const { first, logprobs, logits } of client.score({ tokens: Uint32Array.from(PROMPT), logits: true, chunks: [] })
    ) {
      assert.equal(first, rows);
      rows += logprobs.length;
      assert.equal(logits?.length, logprobs.length * 50);
    }
    assert.equal(rows, PROMPT.length);
  });
}

Deno.test("EngineClient answers more than there are pages for, as each is answered alone, over workers that find out", async () => {
  const prefixCache = { alignment: 4, snapshots: 4, pages: 20 };
  const behaviour = { pages: { layer: 1, size: 4, count: 40 } };
  const changes = { slots: 8, maxRows: 8, prefixCache, snapshots: 4 };
  await using client = await EngineClient.open(options(3, behaviour, changes), { workers: WORKERS });
  const prompts = Array.from(
    { length: 24 },
    (_, id) => Array.from({ length: 20 + id }, (_, i) => (i * i + id % 5) % 50),
  );
  const answers = await Promise.all(prompts.map((prompt) => ids(client.generate(request(prompt, { maxTokens: 60 })))));
  for (const [id, prompt] of prompts.entries()) assert.deepEqual(answers[id], expectedTokens(DEPTH, prompt, 60));
  const tooLong = new TooLongError(
    "Cannot go on: there is memory for the keys and values of 160 tokens only; " +
      "send less, or use --kv-cache f16, --quantize q4 or more --stages",
  );
  await assert.rejects(ids(client.generate(request(Array.from({ length: 161 }, () => 1)))), tooLong);
  const { preemptions, running } = await client.status();
  assert.ok(preemptions > 8 && running === 0, `${preemptions} preemptions`);
});

Deno.test("EngineClient answers many over workers on devices of their own, also from whole rows, as each is answered alone", async () => {
  const requests = Array.from({ length: 20 }, (_, id) => {
    const prompt = Array.from({ length: 1 + id * 7 % 30 }, (_, i) => (i * i + id) % 50);
    const sampling = { ...GREEDY, temperature: id % 3 === 0 ? 50 : 1, seed: id };
    return request(prompt, { maxTokens: 20 + id, sampling });
  });
  const answers = [];
  for (const stages of [1, 2, 3]) {
    const changes = { slots: 9, maxRows: 9, devices: stages, keptLogits: stages - 1 };
    await using client = await EngineClient.open(options(stages, {}, changes), { workers: WORKERS });
    assert.equal(client.info.devices, stages);
    answers.push(await Promise.all(requests.map((one) => ids(client.generate(one)))));
  }
  assert.deepEqual(answers.slice(1), [answers[0], answers[0]]);
});

Deno.test("EngineClient aborts an answer whose iteration is left, though the steps leave the engine's thread no rest", async () => {
  for (const stages of [1, 2]) {
    await using client = await open(stages, { millis: 1 });
    for (let attempt = 0; attempt < 5; attempt++) {
      const generation = client.generate(request(PROMPT, { maxTokens: 4000 }));
      let heard = 0;
      for await (const _ of generation) if (++heard === 5) break;
      const { finish, stats } = await generation.result;
      assert.equal(finish, "abort");
      assert.ok(stats.generatedTokens < 1000, `${stats.generatedTokens} tokens, ${heard} heard`);
    }
  }
});

Deno.test("EngineClient aborts by signal: an answer ends with its reason in the result, a score throws", async () => {
  await using client = await open(1, { millis: 1 });
  const controller = new AbortController();
  const generation = client.generate(request(PROMPT, { maxTokens: 4000 }), controller.signal);
  let heard = 0;
  for await (const _ of generation) if (++heard === 3) controller.abort();
  assert.equal(heard, 3);
  assert.equal((await generation.result).finish, "abort");
  const late = client.generate(request(PROMPT), controller.signal);
  assert.deepEqual(await ids(late), []);
  assert.equal((await late.result).finish, "abort");
  const score = { tokens: new Uint32Array(3000), logits: false, chunks: [1] };
  const other = new AbortController();
  await assert.rejects(async () => {
    for await (const _ of client.score(score, other.signal)) other.abort();
  }, { name: "AbortError" });
  for await (const _ of client.score(score)) break;
  assert.equal((await ids(client.generate(request(PROMPT)))).length, 8);
});

Deno.test("EngineClient takes as many requests as may run and wait, refuses more, and says what the engine does", async () => {
  await using client = await EngineClient.open(options(1, { millis: 1 }, { slots: 2, maxWaiting: 3 }), {
    workers: WORKERS,
  });
  const leave = new AbortController();
  const long = () => client.generate(request(PROMPT, { maxTokens: 4000 }), leave.signal);
  const taken = [1, 2, 3, 4, 5].map(long);
  await assert.rejects(ids(long()), EngineBusyError);
  await assert.rejects(ids(client.generate(request(PROMPT))), /3 are waiting already/);
  for await (const _ of taken[0]!) break; // aborted: the next one has its slot
  await taken[0]!.result;
  const { running, waiting, steps, rows } = await client.status();
  assert.equal(running + waiting, 4); // which gets its slot with the next step
  assert.ok(steps >= 3 && rows >= PROMPT.length, `${steps} steps, ${rows} rows`);
  const next = long();
  leave.abort();
  for (const { result } of [...taken, next]) assert.equal((await result).finish, "abort");
  const after = await client.status();
  assert.deepEqual([after.running, after.waiting], [0, 0]);
  assert.equal((await ids(client.generate(request(PROMPT)))).length, 8);
});

Deno.test("EngineClient rejects a request that the engine refuses, in iteration and result alike, and goes on", async () => {
  await using client = await open(1);
  const generation = client.generate(request([99]));
  const refusal = new EngineError("Cannot run token 99: the vocabulary has 50 tokens, counted from 0");
  await assert.rejects(ids(generation), refusal);
  await assert.rejects(generation.result, refusal);
  const unheard = client.generate(request([99])); // whose failure nobody awaits
  assert.equal((await ids(client.generate(request(PROMPT)))).length, 8);
  assert.ok(unheard);
});

for (const act of ["lose", "crash", "exit"] as const) {
  Deno.test(`EngineClient rejects its requests clearly when a stage ends by "${act}", and another can be opened`, async () => {
    for (const layer of [0, 1, 2]) {
      const client = await open(3, { at: { layer, position: 14, act } });
      const running = client.generate(request(PROMPT, { maxTokens: 100 }));
      const waiting = client.generate(request(PROMPT, { maxTokens: 100 }));
      const heard: number[] = [];
      const outcome = async () => {
        for await (const { id } of running) heard.push(id);
      };
      const last = { lose: "the fake lost its device", crash: "the fake crashed", exit: "ended without a word" }[act];
      await assert.rejects(outcome, (error) => error instanceof EngineError && error.message.includes(last));
      const stage = `stage ${layer + 1} of 3 failed: `;
      await assert.rejects(ids(waiting), (error) => `${error}`.startsWith(`EngineError: The engine stopped: ${stage}`));
      assert.deepEqual(heard, expectedTokens(DEPTH, PROMPT, heard.length));
      await assert.rejects(ids(client.generate(request(PROMPT))), /^EngineError: The engine stopped: /);
      await client[Symbol.asyncDispose]();
    }
    await using another = await open(1);
    assert.equal((await ids(another.generate(request(PROMPT)))).length, 8);
  });
}

Deno.test("EngineClient.open() rejects with the reason of whatever could not be opened", async () => {
  for (const unopenable of [0, 2]) {
    await assert.rejects(open(3, { unopenable }), new EngineError(`Cannot open layer ${unopenable}: it is a fake`));
  }
  const slots = EngineClient.open(options(1, {}, { slots: 5 }), { workers: WORKERS });
  await assert.rejects(
    slots,
    new EngineError("Cannot decode 5 sequences together in steps of 4 rows: use fewer slots"),
  );
  await assert.rejects(openSource("throw new Error('no luck')"), new EngineError("Cannot open a stage: no luck"));
  const silent = new EngineError("Cannot open a stage: its worker ended without a word");
  await assert.rejects(openSource("Deno.exit()"), silent);
  for (const exitsOpening of [0, 1, 2]) await assert.rejects(open(3, { exitsOpening }), silent);
});

Deno.test("EngineClient.open() gives up when its signal aborts", async () => {
  const deaf = "import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => {});";
  await assert.rejects(openSource(deaf, AbortSignal.timeout(300)), { name: "TimeoutError" });
  await assert.rejects(openSource(deaf, AbortSignal.abort()), { name: "AbortError" });
});

Deno.test("EngineClient fails what is left when it is closed, and answers nothing afterwards", async () => {
  const client = await open(2, { millis: 1 });
  const generation = client.generate(request(PROMPT, { maxTokens: 4000 }));
  const iterator = generation[Symbol.asyncIterator]();
  await iterator.next();
  await client[Symbol.asyncDispose]();
  await assert.rejects(generation.result, new EngineError("The engine was closed"));
  await assert.rejects(ids(client.generate(request(PROMPT))), new EngineError("The engine was closed"));
  await client[Symbol.asyncDispose]();
});

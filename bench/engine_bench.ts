/**
 * What the engine does between two steps, with its process in a worker and a stage that only keeps its thread busy, as one
 * that waits for its device does: `deno run -A bench/engine_bench.ts`. On a machine with other work on it the fastest fifth says
 * more: whoever is woken by the tokens may take the engine's core.
 */
import { once } from "node:events";
import { MessageChannel, Worker } from "node:worker_threads";
import { rest } from "../src/backend/backend.ts";
import { median } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { serveEngine } from "../src/engine/host.ts";
import type { ToEngine } from "../src/pipeline/messages.ts";
import type { Candidates, Step } from "../src/pipeline/steps.ts";
import type { SamplingParams } from "../src/pipeline/requests.ts";
import { serveStage, type StageModel } from "../src/stage/stage.ts";
import { CountedRow, generator, NEUTRAL, normal } from "../test/engine/sampler_reference.ts";
import { STAGE_INFO, STAGE_OPTIONS } from "../test/stage/fake_stage.ts";

const VOCABULARY = 157_184;
const STEPS = 1000;
const WARM_STEPS = 200;
const STAGE_MILLIS = 1;

const SAMPLINGS: Record<string, Partial<SamplingParams>> = {
  "greedy": { temperature: 0 },
  "top-k 40": { topK: 40 },
  "temperature 0.6, top-k 40, top-p 0.95": { temperature: 0.6, topK: 40, topP: 0.95 },
};

/** Sends what it is given and closes the engine when as many requests have finished; it hears the tokens, and no more. */
const PROCESS = `
  import { parentPort } from "node:worker_threads";
  parentPort.once("message", ({ port, sent, requests }) => {
    const send = (message) => {
      port.postMessage(message);
      Atomics.add(sent, 0, 1);
    };
    let left = requests.length;
    port.addEventListener("message", ({ data }) => {
      for (const { type } of data) if (type === "finished" && --left === 0) send({ type: "close" });
    });
    port.start();
    requests.forEach(send);
  });`;

const random = generator(1);
const ROW = new CountedRow(
  Float32Array.from({ length: VOCABULARY }, (_, id) => 14 - 1.6 * Math.log(id + 1) + 0.5 * normal(random)),
  64,
).candidates;

/** Gives every row the same candidates, and keeps how long it rested between the steps of all `slots` sequences. */
class TimedStage implements StageModel, Disposable {
  readonly last = true;
  readonly #slots: number;
  readonly millis: number[] = [];
  #steps = 0;
  #end = 0;

  constructor(slots: number) {
    this.#slots = slots;
  }

  async forward({ outputs: { length: rows } }: Step): Promise<Candidates> {
    const begin = performance.now();
    if (rows === this.#slots && ++this.#steps > WARM_STEPS) this.millis.push(begin - this.#end);
    const perRow = ROW.ids.length;
    const candidates = {
      perRow,
      ids: new Uint32Array(rows * perRow),
      logits: new Float32Array(rows * perRow),
      logSumExp: new Float32Array(rows).fill(ROW.logSumExp),
    };
    for (let row = 0; row < rows; row++) {
      candidates.ids.set(ROW.ids, row * perRow);
      candidates.logits.set(ROW.logits, row * perRow);
    }
    await rest();
    while (performance.now() < begin + STAGE_MILLIS);
    this.#end = performance.now();
    return candidates;
  }

  release(): void {}

  store(): Promise<void> {
    return Promise.resolve();
  }

  logits(): Promise<never> {
    return Promise.reject(new Error("Cannot read whole rows: there are none"));
  }

  [Symbol.dispose](): void {}
}

/** Milliseconds between two decode steps of `batch` sequences. */
async function millisBetween(batch: number, sampling: Partial<SamplingParams>, profile: boolean): Promise<number[]> {
  const stage = new TimedStage(batch);
  const options = { ...STAGE_OPTIONS, layers: [STAGE_OPTIONS.layers], slots: batch, context: 2 * STEPS, profile };
  const { port1: port, port2 } = new MessageChannel();
  const sent = new SharedArrayBuffer(4);
  const requests = Array.from({ length: batch }, (_, id): ToEngine => ({
    type: "generate",
    id,
    request: {
      prompt: Uint32Array.of(1),
      maxTokens: STEPS,
      stopTokens: [],
      sampling: { ...NEUTRAL, ...sampling, seed: id },
      logprobs: null,
      thinking: null,
    },
  }));
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(PROCESS)}`));
  await once(worker, "online");
  worker.postMessage({ port: port2, sent: new Uint32Array(sent), requests }, [port2]);
  await serveEngine(
    { type: "open", options: { ...options, maxRows: 256 }, port, sent, further: null },
    (...links) =>
      serveStage(() => Promise.resolve({ model: stage, info: { ...STAGE_INFO, vocabulary: VOCABULARY } }), ...links),
    (event) => {
      if (event.type === "failed") throw new Error(event.reason);
    },
  );
  await worker.terminate();
  return stage.millis;
}

const micros = (millis: number) => (1e3 * millis).toFixed(0).padStart(5);
const terminal = processTerminal();
for (const profile of [false, true]) {
  for (const batch of [1, 32]) {
    for (const [name, sampling] of Object.entries(SAMPLINGS)) {
      const millis = await millisBetween(batch, sampling, profile);
      const what = `${name}, ${batch === 1 ? "1 sequence" : `${batch} sequences`}${profile ? ", steps reported" : ""}`;
      const least = millis.toSorted((a, b) => a - b).slice(0, millis.length / 5);
      terminal.write(`${micros(median(millis))} us, fastest fifth ${micros(median(least))} us  ${what}\n`);
    }
  }
}

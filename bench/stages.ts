/**
 * What several stages bring: `deno run -A bench/stages.ts [--backend wasm|webgpu] [--stages 2] [--threads 1] [--gpu A,B] [--config FILE]
 * [--streams 8] [--tokens 100] [--prompt 1024] [--rounds 7]`. A model in one stage, on the CPU also in one with the threads of all, in several
 * of which one works at a time on what decodes, and in several that all do; by turns in one process, so that what else the machine does
 * falls on all.
 */
import { parseArgs } from "node:util";
import { digits, median } from "../src/cli/bench_figures.ts";
import { gpuProvider } from "../src/cli/args.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { EngineClient } from "../src/engine/client.ts";
import { engineOptions } from "../src/load/engine_options.ts";
import { EMBEDDED_MODEL, type EngineSettings } from "../src/load/options.ts";
import { stageConfig } from "../src/stage/open.ts";

const { values: flags } = parseArgs({
  options: {
    backend: { type: "string", default: "wasm" },
    stages: { type: "string", default: "2" },
    threads: { type: "string", default: "1" },
    gpu: { type: "string", default: "deno" },
    config: { type: "string" },
    streams: { type: "string", default: "8" },
    tokens: { type: "string", default: "100" },
    prompt: { type: "string", default: "1024" },
    rounds: { type: "string", default: "7" },
  },
});
const [streams, tokens, prompt] = [Number(flags.streams), Number(flags.tokens), Number(flags.prompt)];
const gpus = flags.gpu.split(",").map(gpuProvider);

const SHORT = 16;
const SAMPLING = {
  ...{ temperature: 1, topK: 40, topP: 1, minP: 0, repetitionPenalty: 1 },
  ...{ presencePenalty: 0, frequencyPenalty: 0, logitBias: [], seed: 1 },
};

interface Variant {
  readonly name: string;
  readonly settings: EngineSettings;
  /** Instead of what follows from where the stages are. */
  readonly devices?: number;
}

const common: EngineSettings = {
  model: flags.config ?? EMBEDDED_MODEL,
  randomWeights: flags.config !== undefined,
  backend: flags.backend as "wasm" | "webgpu",
  threads: Number(flags.threads),
  maxSequences: streams,
  maxContext: Math.max(prompt, SHORT + tokens) + 8,
};
const cut: EngineSettings = { ...common, gpu: gpus, stages: Number(flags.stages) };
const all = common.threads! * cut.stages!;
const VARIANTS: readonly Variant[] = [
  { name: "one stage", settings: { ...common, gpu: gpus[0]! } },
  ...(common.backend === "wasm" ? [{ name: `one stage, ${all} threads`, settings: { ...common, threads: all } }] : []),
  { name: `${flags.stages} stages, one step that decodes at a time`, settings: cut, devices: 1 },
  { name: `${flags.stages} stages, one such step for each`, settings: cut },
];

async function open({ settings, devices }: Variant): Promise<EngineClient> {
  const options = await engineOptions(settings, await stageConfig({ model: settings.model!, ropeScaling: null }));
  return await EngineClient.open({ ...options, ...(devices !== undefined && { devices }) });
}

/** Other tokens for each stream and each time. */
let texts = 0;
function text(length: number, vocabulary: number): Uint32Array {
  const first = ++texts * 2 ** 20;
  return Uint32Array.from({ length }, (_, i) => (Math.imul(first + i, 0x9e3779b1) >>> 0) % vocabulary);
}

function generate(engine: EngineClient, length: number, maxTokens: number) {
  const request = { maxTokens, stopTokens: [], logprobs: null, thinking: null, sampling: SAMPLING };
  return engine.generate({ ...request, prompt: text(length, engine.info.vocabulary) });
}

/** Tokens a second of a prompt. */
async function prefill(engine: EngineClient): Promise<number> {
  const begun = performance.now();
  await Array.fromAsync(generate(engine, prompt, 1));
  return 1e3 * prompt / (performance.now() - begun);
}

/** Tokens a second of all streams together, while all decode. */
async function decode(engine: EngineClient): Promise<number> {
  let [waiting, begun, ended, count] = [streams, 0, 0, 0];
  await Promise.all(Array.from({ length: streams }, async () => {
    let isFirst = true;
    for await (const _ of generate(engine, SHORT, tokens)) {
      if (begun > 0 && ended === 0) count++;
      if (isFirst && --waiting === 0) begun = performance.now();
      isFirst = false;
    }
    ended ||= performance.now();
  }));
  return 1e3 * count / (ended - begun);
}

const terminal = processTerminal();
const engines: EngineClient[] = [];
for (const variant of VARIANTS) engines.push(await open(variant));
const rates = engines.map(() => ({ prefill: [] as number[], decode: [] as number[] }));
for (let round = 0; round <= Number(flags.rounds); round++) {
  for (const [i, engine] of engines.entries()) {
    const [read, written] = [await prefill(engine), await decode(engine)];
    if (round === 0) continue; // which compiles
    rates[i]!.prefill.push(read);
    rates[i]!.decode.push(written);
  }
}
terminal.write(`tok/s, medians of ${flags.rounds} rounds, and their ratio to the first line's of the same round\n`);
for (const [i, { name }] of VARIANTS.entries()) {
  const figures = (["prefill", "decode"] as const).map((phase) => {
    const ratio = median(rates[i]![phase].map((rate, round) => rate / rates[0]![phase][round]!));
    return `${phase} ${digits(median(rates[i]![phase])).padStart(6)} (${ratio.toFixed(2)})`;
  });
  terminal.write(`${figures.join("   ")}   ${name}, ${engines[i]!.info.devices} devices\n`);
}
for (const engine of engines) await engine[Symbol.asyncDispose]();

/**
 * What many clients of one engine get: `deno run -A bench/serving.ts [--backend wasm|webgpu] [--threads N] [--requests 500]
 * [--only throughput|pauses|fairness]`. All streams against one, the longest pause of a stream while a long prompt is read, and how long
 * requests of all sizes wait that come at once.
 */
import { parseArgs } from "node:util";
import { digits, median } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { EMBEDDED_MODEL, openEngine, type StepReport } from "../src/mod.ts";

const { values } = parseArgs({
  options: {
    backend: { type: "string", default: "wasm" },
    model: { type: "string", default: EMBEDDED_MODEL },
    requests: { type: "string", default: "500" },
    streams: { type: "string", default: "16" },
    tokens: { type: "string", default: "100" },
    long: { type: "string", default: "6000" },
    threads: { type: "string" },
    only: { type: "string" },
  },
});
const streams = Number(values.streams);
const terminal = processTerminal();
const steps: StepReport[] = [];
await using engine = await openEngine({
  model: values.model,
  backend: values.backend as "wasm" | "webgpu",
  maxSequences: streams,
  maxContext: 8192,
  ...(values.threads && { threads: Number(values.threads) }),
  onStep: (report) => steps.push(report),
});

const promptOf = (length: number, seed: number) =>
  Uint32Array.from({ length }, (_, i) => (Math.imul(i + 1 + seed * length, 0x9e3779b1) >>> 0) % engine.info.vocabulary);

/** When each token came. */
async function stream(length: number, maxTokens: number, seed: number): Promise<number[]> {
  const times = [performance.now()];
  const sampling = {
    ...{ temperature: 1, topK: 40, topP: 1, minP: 0, repetitionPenalty: 1 },
    ...{ presencePenalty: 0, frequencyPenalty: 0, logitBias: [], seed },
  };
  const request = {
    prompt: promptOf(length, seed),
    maxTokens,
    stopTokens: [],
    sampling,
    logprobs: null,
    thinking: null,
  };
  for await (const _ of engine.generate(request)) times.push(performance.now());
  return times;
}

const rate = (tokens: number, since: number) => 1e3 * tokens / (performance.now() - since);
const at = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;

async function throughput(): Promise<void> {
  const tokens = Number(values.tokens);
  const rates: number[] = [];
  for (const count of [1, streams]) {
    await Promise.all(Array.from({ length: count }, (_, i) => stream(16, 10, i)));
    const begun = performance.now();
    await Promise.all(Array.from({ length: count }, (_, i) => stream(16, tokens, i)));
    rates.push(rate(count * tokens, begun));
  }
  const [one, all] = rates as [number, number];
  terminal.write(
    `1 stream: ${digits(one)} tok/s; ${streams} streams: ${digits(all)} tok/s, ${digits(all / one)} times\n`,
  );
}

async function pauses(): Promise<void> {
  const others = Array.from({ length: streams - 1 }, (_, i) => stream(16, 300, i));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  steps.length = 0;
  await stream(Number(values.long), 1, 99);
  const during = [...steps];
  const times = await Promise.all(others);
  const gaps = times.flatMap((all) => all.slice(2).map((time, i) => time - all[i + 1]!));
  const chunks = during.filter(({ segments }) => segments.some(({ rows }) => rows > 1)).map(({ millis }) => millis);
  const decodes = during.filter(({ segments }) => segments.every(({ rows }) => rows === 1)).map(({ millis }) => millis);
  terminal.write(
    `while ${values.long} tokens are read: chunks of ${digits(median(chunks))} ms (longest ${
      digits(Math.max(...chunks))
    }), ` +
      `decode steps of ${digits(median(decodes))} ms; longest pause of ${others.length} streams ${
        digits(Math.max(...gaps))
      } ms\n`,
  );
}

async function fairness(): Promise<void> {
  const sizes = [20, 100, 400, 1500] as const;
  const waits = new Map<number, number[]>(sizes.map((size) => [size, []]));
  const slowdowns: number[] = [];
  await Promise.all(Array.from({ length: Number(values.requests) }, async (_, i) => {
    const size = sizes[i * 7 % 13 % sizes.length]!;
    const times = await stream(size, 8 + i % 25, i);
    waits.get(size)!.push(times[1]! - times[0]!);
    slowdowns.push(times.at(-1)! - times[0]!);
  }));
  terminal.write("prompt  requests  first token after: median  95 %  longest (s)\n");
  for (const [size, all] of waits) {
    const sorted = all.toSorted((a, b) => a - b);
    const cells = [at(sorted, 0.5), at(sorted, 0.95), sorted.at(-1)!].map((millis) => digits(millis / 1e3).padStart(6));
    terminal.write(`${String(size).padStart(6)}  ${String(all.length).padStart(8)}  ${cells.join("  ")}\n`);
  }
}

const parts = { throughput, pauses, fairness };
for (const [name, part] of Object.entries(parts)) if ((values.only ?? name) === name) await part();

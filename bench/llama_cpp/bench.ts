/** llama.cpp's speed on a model by its configuration, measured as its own llama-bench does, in a table like `ringlet bench`'s. */
import { parseArgs } from "node:util";
import { digits, median } from "../../src/cli/bench_figures.ts";
import { processTerminal } from "../../src/cli/terminal.ts";
import { loadConfigFile } from "../../src/model/load_config.ts";
import { type LlamaContext, LlamaModel } from "./library.ts";

const { values: flags } = parseArgs({
  options: {
    /** Folder of the libraries that pack.sh packs. */
    libraries: { type: "string" },
    config: { type: "string", default: "bench/ring-mini-2.0.json" },
    /** Fewer layers than the configuration says. */
    layers: { type: "string" },
    /** The types of matrices, as `ringlet bench` calls them: none (BF16), q8 (Q8_0), q4 (routed experts Q4_0, the others Q8_0). */
    quantize: { type: "string", default: "none" },
    /** Without a GPU. */
    cpu: { type: "boolean", default: false },
    "prompt-tokens": { type: "string", default: "512,4096" },
    "gen-tokens": { type: "string", default: "128" },
    /** Rows of a pass through the layers. */
    ubatch: { type: "string", default: "512,2048" },
    /** Of the CPU, which looks up embeddings where there is a GPU. */
    threads: { type: "string", default: "1" },
    runs: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});

interface Result {
  readonly microBatch: number;
  readonly promptTokens: number;
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  readonly decodeMillis: number;
}

const counts = (text: string) => text.split(",").map(Number);

/** Decode steps of the run that is not counted. */
const WARM_STEPS = 4;

/** A prompt's and each decode step's milliseconds. */
function run(context: LlamaContext, tokens: Int32Array<ArrayBuffer>, promptTokens: number, steps: number) {
  context.clear();
  const prefill = timed(() => context.decode(tokens.subarray(0, promptTokens)));
  const decodes = Array.from(
    { length: steps },
    (_, i) => timed(() => context.decode(tokens.subarray(promptTokens + i, promptTokens + i + 1))),
  );
  return { prefill, decodes };
}

function timed(work: () => void): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}

function measure(model: LlamaModel, microBatch: number, promptTokens: number, vocabulary: number): Result {
  const [steps, times] = [Number(flags["gen-tokens"]), Number(flags.runs)];
  const length = promptTokens + steps;
  using context = model.context({ context: length, batch: promptTokens, microBatch, threads: Number(flags.threads) });
  const tokens = Int32Array.from({ length }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 0) % vocabulary);
  run(context, tokens, promptTokens, WARM_STEPS);
  checkLogits(context.logits(vocabulary));
  const runs = Array.from({ length: times }, () => run(context, tokens, promptTokens, steps));
  const decodeMillis = median(runs.flatMap(({ decodes }) => decodes));
  return {
    microBatch,
    promptTokens,
    prefillTokensPerSecond: 1e3 * promptTokens / median(runs.map(({ prefill }) => prefill)),
    decodeTokensPerSecond: 1e3 / decodeMillis,
    decodeMillis,
  };
}

/** A model that computes nothing is fast. */
function checkLogits(logits: Float32Array): void {
  if (!logits.every(Number.isFinite) || new Set(logits).size < logits.length / 8) {
    throw new Error("llama.cpp's logits are no numbers, or all the same: its speed means nothing");
  }
}

const HEADER = ["prompt", "ubatch", "prefill tok/s", "decode tok/s", "decode ms"];

function toTable(results: readonly Result[]): string {
  const rows = results.map((
    { promptTokens, microBatch, prefillTokensPerSecond, decodeTokensPerSecond, decodeMillis },
  ) =>
    [promptTokens, microBatch, digits(prefillTokensPerSecond), digits(decodeTokensPerSecond), digits(decodeMillis)]
      .map(String)
  );
  return [HEADER, ...rows].map((row) => row.map((cell, i) => cell.padStart(HEADER[i]!.length)).join("  ") + "\n").join(
    "",
  );
}

if (flags.libraries === undefined) {
  throw new TypeError("Cannot run llama.cpp: --libraries names no folder of its libraries");
}
const { quantize } = flags;
if (quantize !== "none" && quantize !== "q8" && quantize !== "q4") {
  throw new RangeError(`Cannot make matrices of type '${quantize}': use none, q8 or q4`);
}
const whole = await loadConfigFile(flags.config);
const config = { ...whole, layers: Number(flags.layers ?? whole.layers) };
const begun = performance.now();
using model = LlamaModel.random(flags.libraries, config, quantize, flags.cpu ? "cpu" : "vulkan");
const openMillis = performance.now() - begun;
const { device } = model;
const combinations = counts(flags["prompt-tokens"]).flatMap((promptTokens) =>
  counts(flags.ubatch).map((microBatch) => [microBatch, promptTokens] as const)
);
const results = combinations.map(([microBatch, promptTokens]) =>
  measure(model, microBatch, promptTokens, config.vocab)
);
const report = { device, config: flags.config, layers: config.layers, quantize, openMillis, results };
const terminal = processTerminal();
if (flags.json) terminal.write(`${JSON.stringify(report, null, 2)}\n`);
else terminal.write(`${device}, llama.cpp v0.5.0, open in ${digits(openMillis / 1e3)} s\n\n${toTable(results)}`);

/**
 * Compares how fast two checkouts decode on software Vulkan, or on another backend, in one run: `deno run -A bench/compare.ts OLD NEW
 * [--backend webgpu|wasm] [--rounds 5] [--tokens 200]`. Each round generates the same text with one and then with the other, so that what
 * else the machine does falls on both. It uses nothing but the command line, which every commit has.
 */
import { parseArgs } from "node:util";
import { digits, median } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";

const PROMPT = "Once upon a time";

/** Chunks of text that come before all kernels of a step are compiled. */
const WARM_UP = 20;

const { values, positionals } = parseArgs({
  options: {
    backend: { type: "string", default: "webgpu" },
    rounds: { type: "string", default: "5" },
    tokens: { type: "string", default: "200" },
  },
  allowPositionals: true,
});
if (positionals.length !== 2) throw new RangeError(`Cannot compare ${positionals.length} checkouts: name two folders`);

/** Milliseconds from one piece of text, nearly always a token, to the next. */
async function stepMillis(checkout: string, seed: number): Promise<number[]> {
  const options = [
    "--backend",
    values.backend,
    "--max-tokens",
    values.tokens,
    "--seed",
    `${seed}`,
    "--temperature",
    "1",
  ];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "src/main.ts", "generate", "--raw", ...options, PROMPT],
    cwd: checkout,
    stdout: "piped",
  }).spawn();
  const times: number[] = [];
  for await (const _ of child.stdout) times.push(performance.now());
  await child.status; // some drivers crash when a process ends
  const gaps = times.slice(1).map((time, i) => time - times[i]!).slice(WARM_UP);
  if (gaps.length > 0) return gaps;
  throw new RangeError(`Cannot measure ${checkout}: it ended after ${times.length} pieces of text; use more --tokens`);
}

const terminal = processTerminal();
const medians = positionals.map(() => [] as number[]);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [i, checkout] of positionals.entries()) medians[i]!.push(median(await stepMillis(checkout, round)));
  terminal.write(`round ${round + 1}: ${medians.map((all) => `${digits(all.at(-1)!)} ms`).join(", ")} a step\n`);
}
const [before, after] = medians.map(median) as [number, number];
for (const [i, millis] of [before, after].entries()) {
  terminal.write(
    `${digits(1e3 / millis)} tok/s, ${digits(millis)} ms a step (median of ${values.rounds}): ${positionals[i]}\n`,
  );
}
terminal.write(`${digits(before / after)} times as fast\n`);

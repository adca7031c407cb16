/**
 * Compares how fast two checkouts decode on software Vulkan, or on another backend, in one run: `deno run -A bench/compare.ts OLD NEW
 * [--backend webgpu|wasm] [--rounds 5] [--tokens 200]`. Each round generates the same text with one and then with the other, so that what
 * else the machine does falls on both. It uses nothing but the command line, which every commit has.
 */
import { parseArgs } from "node:util";
import { digits, median } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";

const PROMPT = "Once upon a time";

/** Tokens by which all kernels of a step are compiled: a generation of so many is taken off a longer one. */
const WARM_UP = 40;

const { values, positionals } = parseArgs({
  options: {
    backend: { type: "string", default: "webgpu" },
    rounds: { type: "string", default: "5" },
    tokens: { type: "string", default: "200" },
  },
  allowPositionals: true,
});
if (positionals.length !== 2) throw new RangeError(`Cannot compare ${positionals.length} checkouts: name two folders`);

interface Generated {
  readonly completion_tokens: number;
  readonly timings: { readonly decode_ms: number };
}

async function generate(checkout: string, seed: number, tokens: number): Promise<Generated> {
  const options = ["--backend", values.backend, "--max-tokens", `${tokens}`, "--seed", `${seed}`, "--temperature", "1"];
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "src/main.ts", "generate", "--raw", "--json", ...options, PROMPT],
    cwd: checkout,
    stderr: "null",
  }).output(); // its status says nothing: some drivers crash when a process ends
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Milliseconds a token, behind the first ones. Tokens may come several at once, so that the time between two says nothing. */
async function stepMillis(checkout: string, seed: number): Promise<number> {
  const [short, long] = [
    await generate(checkout, seed, WARM_UP),
    await generate(checkout, seed, WARM_UP + Number(values.tokens)),
  ];
  const steps = long.completion_tokens - short.completion_tokens;
  if (steps >= WARM_UP) return (long.timings.decode_ms - short.timings.decode_ms) / steps;
  throw new RangeError(`Cannot measure ${checkout}: with seed ${seed} it ended after ${long.completion_tokens} tokens`);
}

const terminal = processTerminal();
const millis = positionals.map(() => [] as number[]);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [i, checkout] of positionals.entries()) millis[i]!.push(await stepMillis(checkout, round));
  terminal.write(`round ${round + 1}: ${millis.map((all) => `${digits(all.at(-1)!)} ms`).join(", ")} a step\n`);
}
const [before, after] = millis.map(median) as [number, number];
for (const [i, step] of [before, after].entries()) {
  terminal.write(
    `${digits(1e3 / step)} tok/s, ${digits(step)} ms a step (median of ${values.rounds}): ${positionals[i]}\n`,
  );
}
terminal.write(`${digits(before / after)} times as fast\n`);

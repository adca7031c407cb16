/**
 * The arithmetic of bench/sizing/costs.ts beside what a pool does whose line is slow: `deno run -A bench/lines.ts [--megabits 8,4,2,1]
 * [--rounds 3] [--prompt 2048] [--activations f32|bf16]`. Two stages of the embedded model on hosts of their own (root), the first one's way out cut
 * to a rate by `tc`; the fastest of the rounds. What stages take by themselves is what they took on the uncut line.
 */
import { strict as assert } from "node:assert";
import { parseArgs } from "node:util";
import { digits } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import type { Activations } from "../src/wire/room.ts";
import { NO_HOSTS } from "../test/pool/hosts.ts";
import { startPool } from "../test/pool/pool.ts";
import { ask } from "../test/pool/streams.ts";
import { random } from "./abuse.ts";
import { type Pipeline, promptMillis, rowBytes } from "./sizing/costs.ts";

const { values: flags } = parseArgs({
  options: {
    megabits: { type: "string", default: "8,4,2,1" },
    rounds: { type: "string", default: "3" },
    prompt: { type: "string", default: "2048" },
    activations: { type: "string", default: "f32" },
  },
});
assert.equal(NO_HOSTS, null, NO_HOSTS ?? "");
const prompt = Number(flags.prompt);
/** H of ring-nano; rows of a chunk while nobody else is answered. */
const HIDDEN = 256, CHUNK = 512;

await using pool = await startPool({
  ranges: ["0-4", "5-9"],
  flags: ["--max-context", "4096"],
  serveFlags: ["--activations", flags.activations],
});

/** Cuts what the first stage sends; null gives it all again. */
async function cut(megabits: number | null): Promise<void> {
  const tc = async (...args: string[]) => {
    const [command, ...rest] = [...pool.stages[0]!.host.within, "tc", "qdisc", ...args];
    return (await new Deno.Command(command!, { args: rest, stderr: "null" }).output()).success;
  };
  await tc("del", "dev", "eth0", "root"); // fails where nothing was cut
  if (megabits === null) return;
  const bucket = ["tbf", "rate", `${megabits}mbit`, "burst", "4kb", "latency", "5s"];
  assert.ok(await tc("add", "dev", "eth0", "root", ...bucket), "tc cannot cut the line");
}

const draw = random(1);

/** Milliseconds until the first token behind a prompt: the least of the rounds. */
async function promptTime(): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < Number(flags.rounds); round++) {
    const words = Array.from({ length: prompt }, () => Math.floor(draw() * 4000));
    const reply = await ask(pool.url, { prompt: words, max_tokens: 1, temperature: 0, seed: 1 });
    assert.equal(reply.error, null);
    least = Math.min(least, reply.tokens[0]!.at - reply.begun);
  }
  return least;
}

/** What is expected if both stages have equal parts of what was taken on the uncut line, where the chunks took one stage's time each, and one more. */
function expected(uncutMillis: number, megabits: number): number {
  const chunkMillis = uncutMillis / (Math.ceil(prompt / CHUNK) + 1);
  const pipeline: Pipeline = {
    stages: [() => chunkMillis, () => chunkMillis],
    hop: { millis: 0, bytesPerSecond: megabits * 1e6 / 8 },
    rowBytes: rowBytes(HIDDEN, flags.activations as Activations),
    serverMillis: 0,
  };
  return promptMillis(pipeline, prompt, CHUNK);
}

const { write } = processTerminal();
await promptTime(); // compiles
const cuts: (readonly [megabits: number, millis: number])[] = [];
for (const megabits of flags.megabits.split(",").map(Number)) {
  await cut(megabits);
  cuts.push([megabits, await promptTime()]);
}
await cut(null); // last, as kernels get faster for a while
const uncut = await promptTime();
write(`a prompt of ${prompt} tokens, ${flags.activations}: ${digits(uncut)} ms\n`);
for (const [megabits, millis] of cuts) {
  write(`by ${megabits} Mbit/s ${digits(millis)} ms, expected ${digits(expected(uncut, megabits))}\n`);
}

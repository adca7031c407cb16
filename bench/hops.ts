/**
 * What a hop between two processes of one machine takes, of one row and of a prompt's rows: `deno run -A bench/hops.ts [--rounds 5]
 * [--small 400] [--large 20] [filter]`. Half of there and back, over the wire's ways with steps encoded and decoded, beside floors that carry
 * the same bytes without our code; by turns, so that what else the machine does falls on all.
 */
import { parseArgs } from "node:util";
import { digits, median } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { NatsServer } from "../test/nats_server.ts";
import { HIDDEN, MOST_ROWS, type Way, WAYS } from "./hops/ways.ts";

const { values: flags, positionals: [filter = ""] } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    small: { type: "string", default: "400" },
    large: { type: "string", default: "20" },
    /** The process on the other side: the name of the way, and the broker. */
    answer: { type: "string" },
    url: { type: "string" },
  },
  allowPositionals: true,
});

const { write } = processTerminal();

if (flags.answer !== undefined) {
  await WAYS[flags.answer]!(flags.url!, true);
  write("ready\n");
} else await measure();

async function measure(): Promise<void> {
  await using server = await NatsServer.start();
  const names = Object.keys(WAYS).filter((name) => name.includes(filter));
  const [small, large] = [new Map<string, number[]>(), new Map<string, number[]>()];
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const name of names) {
      await using way = await open(name, server.url);
      await time(way, 1, 1000); // until compilers have seen it often
      append(small, name, await time(way, 1, Number(flags.small)));
      await time(way, MOST_ROWS, 2);
      append(large, name, await time(way, MOST_ROWS, Number(flags.large)));
    }
  }
  print(`one row, ${4 * HIDDEN} bytes in f32`, "us", 1000, small);
  print(`${MOST_ROWS} rows, ${4 * HIDDEN * MOST_ROWS} bytes in f32`, "ms", 1, large);
}

async function open(name: string, url: string): Promise<Way> {
  const args = ["run", "-A", import.meta.filename!, "--answer", name, "--url", url];
  const process = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  await process.stdout.getReader().read();
  const way = await WAYS[name]!(url, false);
  return {
    there: (rows) => way.there(rows),
    async [Symbol.asyncDispose]() {
      await way[Symbol.asyncDispose]();
      process.kill("SIGKILL");
      await process.status;
    },
  };
}

/** Milliseconds of one hop each. */
async function time(way: Way, rows: number, times: number): Promise<number[]> {
  const millis: number[] = [];
  for (let i = 0; i < times; i++) {
    const begun = performance.now();
    await way.there(rows);
    millis.push((performance.now() - begun) / 2);
  }
  return millis;
}

function append(all: Map<string, number[]>, name: string, more: readonly number[]): void {
  all.set(name, [...all.get(name) ?? [], ...more]);
}

function print(what: string, unit: string, scale: number, all: ReadonlyMap<string, number[]>): void {
  write(`\nA hop of ${what}, ${unit}\n`);
  write(
    `${"10 %".padStart(8)}${"median".padStart(8)}${"95 %".padStart(8)}${"99 %".padStart(8)}${"added".padStart(8)}\n`,
  );
  const floor = median([...all.values()][0]!);
  for (const [name, millis] of all) {
    const sorted = millis.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
    const figures = [at(0.1), median(millis), at(0.95), at(0.99), median(millis) - floor];
    write(`${figures.map((figure) => digits(figure * scale).padStart(8)).join("")}  ${name}\n`);
  }
}

/**
 * Abuses `ringlet serve` with the embedded model, and tells what became of its memory and its slots:
 *
 *     deno run -A bench/soak.ts [--malformed 2000] [--storm 30] [--soak 1200] [-- FLAGS OF SERVE]
 *
 * `--malformed` is a number of requests, `--storm` seconds of 200 clients a second, `--soak` seconds of everything mixed. Before the soak all
 * slots are filled to the end of their context, as pages of keys and values are taken when they are first needed and then kept. Exits 1 if the
 * server breaks, a slot stays taken, or the soak's memory grows by more than a tenth between its second and its last quarter.
 */
import { parseArgs } from "node:util";
import { type ServeProcess, startServe } from "../test/server/serve_process.ts";
import { ask, halfClosed, largeBodies, longPrompts, malformed, slowReaders, storm, type Tally } from "./abuse.ts";

const SLOTS = 4;
/** V8 lets garbage lie until its heap is several times what lives, the later the busier the machine is; with this, until a fifth is added. */
const V8_FLAGS = "--v8-flags=--heap-growing-percent=20";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    malformed: { type: "string", default: "2000" },
    storm: { type: "string", default: "30" },
    soak: { type: "string", default: "1200" },
  },
});

/** One figure of /metrics, summed over its labels. */
function figure(text: string, name: string): number {
  const lines = text.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

interface Figures {
  readonly taken: number;
  readonly megabytes: number;
}

async function figures({ url }: ServeProcess): Promise<Figures> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const taken = figure(text, "ringlet_sequences_running") + figure(text, "ringlet_sequences_waiting");
  return { taken, megabytes: figure(text, "process_resident_memory_bytes") / 1e6 };
}

/** Runs one kind of abuse, then waits until all slots are free and asks as a client would. */
async function part(server: ServeProcess, name: string, abuse: () => Promise<Tally | void>): Promise<number> {
  const started = performance.now();
  const tally = await abuse() ?? {};
  const abused = performance.now();
  let { taken, megabytes } = await figures(server);
  while (taken > 0 && performance.now() - abused < 10_000) ({ taken, megabytes } = await figures(server));
  const settled = performance.now();
  if (taken > 0) throw new Error(`${name}: ${taken} sequences still run or wait after 10 s`);
  const status = await ask(server.port);
  if (status !== 200) throw new Error(`${name}: the next request got ${status}`);
  const seconds = ((abused - started) / 1000).toFixed(1);
  const free = Math.round(settled - abused);
  say(
    `${name.padEnd(14)} ${seconds.padStart(7)} s  free after ${free} ms, ${megabytes.toFixed(0)} MB  ${
      JSON.stringify(tally)
    }`,
  );
  return megabytes;
}

/** Everything at once, in rounds, with the memory after each. */
async function soak(server: ServeProcess, seconds: number): Promise<void> {
  const most: number[] = [];
  let round = 0;
  for (let quarter = 1; quarter <= 4; quarter++) {
    const memory: number[] = [];
    const end = performance.now() + seconds / 4 * 1000;
    while (performance.now() < end) memory.push(await part(server, `soak ${round}`, () => everything(server, round++)));
    most.push(Math.max(...memory));
    const mean = memory.reduce((sum, one) => sum + one) / memory.length;
    say(
      `Quarter ${quarter}: ${Math.min(...memory).toFixed(0)} to ${most.at(-1)!.toFixed(0)} MB, ${
        mean.toFixed(0)
      } MB in the mean`,
    );
  }
  if (most[3]! > 1.1 * most[1]!) throw new Error("The memory grows");
}

async function everything({ port }: ServeProcess, round: number): Promise<Tally> {
  const [tally] = await Promise.all([
    storm(port, 50, 10),
    malformed(port, 50, round),
    largeBodies(port, 4, 10_000_000),
    slowReaders(port, 4, 8000),
    halfClosed(port, 4, 8000),
    Promise.all(Array.from({ length: 8 }, () => ask(port))),
  ]);
  return tally;
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  await using server = await startServe(["--max-sequences", `${SLOTS}`, ...positionals], [V8_FLAGS]);
  const { port } = server;
  try {
    await part(server, "warm", () => Promise.resolve({}));
    if (+values.malformed > 0) await part(server, "malformed", () => malformed(port, +values.malformed));
    if (+values.malformed > 0) await part(server, "10 MB bodies", () => largeBodies(port, 50, 10_000_000));
    if (+values.storm > 0) {
      await part(server, "slow readers", () => slowReaders(port, 32, 5000));
      await part(server, "half-closed", () => halfClosed(port, 32, 5000));
      await part(server, "storm", () => storm(port, 200, +values.storm));
      await part(server, "storm again", () => storm(port, 200, +values.storm));
    }
    if (+values.soak > 0) {
      await part(server, "full slots", () => longPrompts(port, SLOTS));
      await soak(server, +values.soak);
    }
    const statuses: Tally = {};
    for (const [, status] of server.said().matchAll(/"status":(\d+)/g)) {
      statuses[status!] = (statuses[status!] ?? 0) + 1;
    }
    say(`The server logged ${JSON.stringify(statuses)}`);
    if (Object.keys(statuses).some((status) => +status >= 500)) throw new Error("The server failed");
  } catch (error) {
    say((error as Error).message);
    say(server.said().slice(-2000));
    Deno.exitCode = 1;
  }
}

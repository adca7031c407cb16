/**
 * Whether a pool keeps its streams while its hosts fail: `deno run -A bench/faults.ts [--faults 50] [--streams 20] [--tokens 300]
 * [--replicas 2] [--seed 1] [--timeout 30] [--no-direct]`. Four ranges of the embedded model's layers on so many hosts each, which are
 * network namespaces (root), with a nats-server and a server on hosts of their own; processes are killed, frozen and hosts cut off in turn,
 * at times drawn by chance, while all clients stream. Every token and its log-probabilities are compared with those of one process that
 * nothing happens to. With one replica streams may end with the pool's error, within its timeout. Exits 1 if one is wrong.
 */
import { parseArgs } from "node:util";
import { median } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { LOST_MILLIS } from "../src/pool/protocol.ts";
import { describe } from "../test/pool/faults.ts";
import { NO_HOSTS } from "../test/pool/hosts.ts";
import { FOUR_RANGES, startPool } from "../test/pool/pool.ts";
import { runTrial, type Trial } from "../test/pool/trial.ts";

const { values: flags } = parseArgs({
  options: {
    faults: { type: "string", default: "50" },
    streams: { type: "string", default: "20" },
    tokens: { type: "string", default: "300" },
    replicas: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
    timeout: { type: "string", default: "30" },
    "no-direct": { type: "boolean", default: false },
  },
});
const terminal = processTerminal();
const say = (line: string) => terminal.write(`${line}\n`);
const seconds = (millis: number) => `${(millis / 1000).toFixed(1)} s`;

/** Streams have these seconds without a token, at most, before they end: until a stage is lost, and the pool's timeout. */
const deadline = LOST_MILLIS + Number(flags.timeout) * 1000;

if (NO_HOSTS !== null) say(`All members are on this computer, and nobody is cut off: ${NO_HOSTS}`);
await using pool = await startPool({
  ranges: FOUR_RANGES,
  replicas: Number(flags.replicas),
  flags: ["--max-sequences", flags.streams, ...flags["no-direct"] ? ["--no-direct"] : []],
  serveFlags: ["--pool-timeout", flags.timeout],
});
say(`Seed ${flags.seed}: ${flags.faults} faults, ${flags.streams} streams of ${flags.tokens} tokens`);
let count = 0;
const trial = await runTrial(pool, {
  ...{ faults: Number(flags.faults), seed: Number(flags.seed) },
  ...{ streams: Number(flags.streams), tokens: Number(flags.tokens) },
  ...(flags.replicas === "1" && { mayEnd: /^Nobody has / }),
  onFault: (fault) => say(`${String(++count).padStart(3)}  ${describe(fault)}`),
});
report(trial);
const late = trial.replies.filter((reply) =>
  reply.error && reply.ended - (reply.tokens.at(-1)?.at ?? reply.begun) > deadline
);
for (const wrong of trial.wrong) say(`WRONG: ${wrong}`);
if (late.length > 0) say(`LATE: ${late.length} streams ended later than ${seconds(deadline)} behind their last token`);
const ends = [...pool.stages, pool.server].map(({ host, ends }) => `${host.name} ${ends.length}`);
say(`Processes ended (killed ones included): ${ends.join(", ")}`);
if (trial.wrong.length > 0 || late.length > 0) Deno.exitCode = 1;

function report({ suffered, replies, wrong, pauseMillis }: Trial): void {
  say("kind    host    faults  pool whole: median  longest  all streams went on: median  longest");
  const kinds = Map.groupBy(suffered, ({ kind, host }) => `${kind.padEnd(8)}${/^s\d/.test(host) ? "stage" : host}`);
  for (const [kind, all] of kinds) {
    const [whole, went] = [all.map((one) => one.healedMillis), all.map((one) => one.allMillis)];
    const figures = [median(whole), Math.max(...whole), median(went), Math.max(...went)].map(seconds);
    say(`${kind.padEnd(16)}${String(all.length).padStart(6)}  ${figures.map((one) => one.padStart(8)).join("  ")}`);
  }
  const ended = replies.filter(({ error }) => error !== null);
  const tokens = replies.reduce((sum, reply) => sum + reply.tokens.length, 0);
  say(
    `${replies.length} streams with ${tokens} tokens: ${
      replies.length - ended.length
    } whole, ${ended.length} ended early, ` +
      `${wrong.length} wrong; longest pause ${seconds(pauseMillis)}`,
  );
}

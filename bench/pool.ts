/**
 * What a pipeline over several hosts brings to several streams: `deno run -A bench/pool.ts [--streams 8] [--tokens 200] [--rounds 7]
 * [--no-direct]`. Stages of one thread each, a nats-server and a server, on hosts of their own where there are
 * network namespaces (root); tokens a second of one stream and of all, by turns, from the first request to the last token.
 */
import { parseArgs } from "node:util";
import { digits, median } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { NO_HOSTS } from "../test/pool/hosts.ts";
import { FOUR_RANGES, startPool } from "../test/pool/pool.ts";
import { ask, questionsFor } from "../test/pool/streams.ts";

const { values: flags } = parseArgs({
  options: {
    streams: { type: "string", default: "8" },
    tokens: { type: "string", default: "200" },
    rounds: { type: "string", default: "7" },
    "no-direct": { type: "boolean", default: false },
  },
});
const streams = Number(flags.streams);

const memberFlags = ["--max-sequences", flags.streams, ...flags["no-direct"] ? ["--no-direct"] : []];
await using pool = await startPool({ ranges: FOUR_RANGES, flags: memberFlags });

let seed = 0;
async function rate(count: number): Promise<number> {
  const questions = questionsFor(count, Number(flags.tokens), ++seed).map((question) => ({
    ...question,
    prompt: question.prompt.slice(-8),
  }));
  const begun = performance.now();
  const replies = await Promise.all(questions.map((question) => ask(pool.url, question)));
  const error = replies.find((reply) => reply.error !== null)?.error;
  if (error) throw new Error(error);
  return 1e3 * count * Number(flags.tokens) / (performance.now() - begun);
}

const rates: { readonly one: number; readonly all: number }[] = [];
for (let round = 0; round <= Number(flags.rounds); round++) {
  const both = { one: await rate(1), all: await rate(streams) };
  if (round > 0) rates.push(both);
}
const ratio = median(rates.map(({ one, all }) => all / one));
const [one, all] = (["one", "all"] as const).map((name) => median(rates.map((rate) => rate[name])));
processTerminal().write(
  `${FOUR_RANGES.length} stages ${NO_HOSTS === null ? "on hosts of their own" : "on this computer"}, ` +
    `${flags["no-direct"] ? "links by NATS" : "direct links"}, medians of ${flags.rounds} rounds: ` +
    `1 stream ${digits(one!)} tok/s, ${streams} streams ${digits(all!)} tok/s, ${ratio.toFixed(2)} times\n`,
);

/**
 * When the first token of a turn comes, behind a prompt that is read, kept on the device, or in the host's memory; and what copying there
 * costs others: `deno run -A bench/prefix_cache.ts [--model DIR] [--random-weights] [--tokens 4000] [--host 8]`. The device has room
 * for one and a half conversations, the host's memory for so many times that; 0 is none.
 */
import { parseArgs } from "node:util";
import { digits, median } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { EMBEDDED_MODEL, type KvCacheType, openEngine, type Quantize } from "../src/mod.ts";
import { stageConfig } from "../src/stage/open.ts";
import { prefixCacheRoom } from "../src/stage/size.ts";

const { values } = parseArgs({
  options: {
    backend: { type: "string", default: "webgpu" },
    model: { type: "string", default: EMBEDDED_MODEL },
    "random-weights": { type: "boolean", default: false },
    quantize: { type: "string", default: "none" },
    "kv-cache": { type: "string", default: "f32" },
    tokens: { type: "string", default: "4000" },
    rounds: { type: "string", default: "3" },
    host: { type: "string", default: "8" },
  },
});
const [tokens, rounds] = [Number(values.tokens), Number(values.rounds)];
const kvCache = values["kv-cache"] as KvCacheType;
const terminal = processTerminal();
const context = 2 * tokens;
const config = await stageConfig({ model: values.model, ropeScaling: null });
const { stateBytes = 0, pageBytes = 0, alignment } = prefixCacheRoom(config, { context, kvCache }, 2 ** 40);
// States are kept at every power of two, and at the end of each turn.
const perConversation = Math.ceil(Math.log2(tokens / alignment)) + 3;
const pages = Math.ceil(tokens / alignment) + 2;
const prefixCache = 2 * Math.ceil(1.5 * Math.max(perConversation * stateBytes, pages * pageBytes));
await using engine = await openEngine({
  model: values.model,
  randomWeights: values["random-weights"],
  backend: values.backend as "wasm" | "webgpu",
  quantize: values.quantize as Quantize,
  kvCache,
  maxSequences: 2,
  maxContext: context,
  prefixCache,
  hostCache: Number(values.host) * prefixCache,
});

const promptOf = (length: number, seed: number) =>
  Array.from({ length }, (_, i) => (Math.imul(i + 1 + seed * 7919, 0x9e3779b1) >>> 0) % engine.info.vocabulary);

async function ask(prompt: readonly number[], maxTokens: number, heard = () => {}) {
  const sampling = {
    ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
    ...{ presencePenalty: 0, frequencyPenalty: 0, logitBias: [], seed: 1 },
  };
  const request = { maxTokens, stopTokens: [], sampling, logprobs: null, thinking: null };
  const begun = performance.now();
  const generation = engine.generate({ ...request, prompt: Uint32Array.from(prompt) });
  const answer: number[] = [];
  let first = 0;
  for await (const { id } of generation) {
    first ||= performance.now() - begun;
    heard();
    answer.push(id);
  }
  const { stats } = await generation.result;
  return { first, answer, cached: stats.cachedTokens };
}

const held = async () => (await engine.status()).prefixCache.host;

/** Waits until all is copied to the host's memory that will be; MB a second. */
async function copied(): Promise<number> {
  const [begun, { bytes: first }] = [performance.now(), await held()];
  let [end, last] = [begun, first];
  while (performance.now() - end < 200) {
    const { bytes } = await held();
    if (bytes !== last) [end, last] = [performance.now(), bytes];
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return last === first ? 0 : (last - first) / 1e3 / (end - begun);
}

const turn = (text: readonly number[], seed: number) => [...text, ...promptOf(40, seed)];
const firsts = { cold: [] as number[], device: [] as number[], host: [] as number[] };
const rates: number[] = [];
for (const seed of [997, 998, 999]) await ask(promptOf(tokens, seed), 4);
for (let round = 0; round < rounds; round++) {
  const text = promptOf(tokens, round);
  const cold = await ask(text, 4);
  const second = turn([...text, ...cold.answer], 100 + round);
  const hot = await ask(second, 4);
  const third = turn([...second, ...hot.answer], 200 + round);
  await copied(); // while the answer is read
  const before = await held();
  for (const other of [300, 400, 500]) {
    await ask(promptOf(tokens, other + round), 1);
    rates.push(await copied());
  }
  const back = await ask(third, 4);
  const { hits, bytes } = await held();
  if (hits !== before.hits + 1) terminal.note("the third turn was not found in the host's memory\n");
  firsts.cold.push(cold.first);
  firsts.device.push(hot.first);
  firsts.host.push(back.first);
  terminal.write(
    `round ${round}: cold ${digits(cold.first)} ms, device ${digits(hot.first)} (${hot.cached} of ${second.length}), ` +
      `host ${digits(back.first)} (${back.cached} of ${third.length}), ${digits(bytes / 1e6)} MB there\n`,
  );
}
const [cold, hot, back] = [median(firsts.cold), median(firsts.device), median(firsts.host)];
terminal.write(
  `${engine.info.stages[0]!.device}, ${tokens} tokens, a state ${digits(stateBytes / 1e6)} MB, a page ` +
    `${digits(pageBytes / 1e6)} MB: first token cold ${digits(cold)} ms; second turn from the device ${digits(hot)}, ` +
    `from the host ${digits(back)} (${digits(100 * back / cold)} % of cold); copied at ${digits(median(rates))} MB/s\n`,
);

/** The pauses of a stream while others' prompts are read, and what is kept of them is copied. */
const others = 4;
const pauses: number[] = [];
const begun = Promise.withResolvers<void>();
let last = 0;
const streaming = ask(promptOf(16, 3000), 20 + others * Math.ceil(tokens / 200), () => {
  if (last > 0) pauses.push(performance.now() - last);
  last = performance.now();
  begun.resolve();
});
await begun.promise;
for (let i = 0; i < others; i++) await ask(promptOf(tokens, 2000 + i), 1);
const beside = pauses.length; // those that come now are of nobody else
await streaming;
pauses.length = beside;
pauses.sort((a, b) => a - b);
const at = (share: number) => digits(pauses[Math.floor(share * (pauses.length - 1))]!);
terminal.write(
  `a stream beside ${others} prompts, ${values.host === "0" ? "nothing" : "what is kept"} copied: pauses of ` +
    `${at(0.5)} ms (median), ${at(0.95)} (95 %), ${at(1)} (longest) over ${pauses.length} tokens\n`,
);

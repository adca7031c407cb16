/** What quantizing costs: perplexity of texts, and how far each policy's distributions are from those of the stored weights. */
import { parseArgs } from "node:util";
import { type Chat, type ChatMessage, EMBEDDED_MODEL, fold, load, type Tool } from "../src/mod.ts";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string", default: EMBEDDED_MODEL },
    backend: { type: "string", default: "auto" },
    /** A text, read in pieces of `window` tokens; otherwise conversations of the embedded model's tasks. */
    file: { type: "string" },
    window: { type: "string", default: "1024" },
    /** Every so many-th task. */
    every: { type: "string", default: "5" },
  },
});

/** All that `--quantize` and `--kv-cache` say together, the stored weights and an exact cache first. */
const POLICIES = (["f32", "f16"] as const).flatMap((kvCache) =>
  (["none", "q8", "q4"] as const).map((quantize) => ({ quantize, kvCache }))
);
type Policy = (typeof POLICIES)[number];

interface Quality {
  readonly weightBytes: number;
  /** Of the tokens that follow in the text. */
  readonly perplexity: number;
  /** Of each position's distribution from that of the stored weights, in nats: Σ p ln(p / q). */
  readonly divergences: readonly number[];
  /** Positions whose likeliest token is the same. */
  readonly agreement: number;
}

interface Task {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly Tool[];
  readonly enable_thinking: boolean;
}

/** Read from an empty state; what is measured are the tokens from `from` on. */
interface Text {
  readonly tokens: Uint32Array;
  readonly from: number;
}

/** A text in pieces, or tasks with the greedy answers of the stored weights; of those the answers are measured. */
async function readTexts(model: Chat): Promise<Text[]> {
  const { tokenizer } = model;
  if (tokenizer === null) throw new TypeError(`Cannot read texts with ${flags.model}: it has no tokenizer`);
  if (flags.file !== undefined) {
    const [all, size] = [tokenizer.encode(await Deno.readTextFile(flags.file)), Number(flags.window)];
    const piece = (i: number) => ({ tokens: all.slice(i * size, (i + 1) * size), from: 1 });
    return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => piece(i));
  }
  const lines = (await Deno.readTextFile(`${EMBEDDED_MODEL}-eval.jsonl`)).trim().split("\n");
  const chosen = lines.filter((_, i) => i % Number(flags.every) === 0).map((line) => JSON.parse(line) as Task);
  const texts: Text[] = [];
  for (const { messages, tools = [], enable_thinking: thinking } of chosen) {
    const request = { messages, tools, thinking };
    const { logprobs } = await fold(model.stream({ ...request, logprobs: 0, maxTokens: 256 }));
    const answer = tokenizer.encode(logprobs.map(({ token }) => token).join(""), { special: true });
    const prompt = model.promptTokens(request);
    texts.push({ tokens: Uint32Array.of(...prompt, ...answer), from: prompt.length });
  }
  return texts;
}

/** ln of the probabilities that logits give. */
function logSoftmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  const sum = logits.reduce((total, value) => total + Math.exp(value - largest), 0);
  return Float64Array.from(logits, (value) => value - largest - Math.log(sum));
}

const divergence = (p: Float64Array, q: Float64Array) => p.reduce((sum, lp, i) => sum + Math.exp(lp) * (lp - q[i]!), 0);
const likeliest = (row: Float64Array) => row.reduce((best, value, i) => value > row[best]! ? i : best, 0);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Scores texts with a model. `reference` holds the logits of the stored weights; the first model fills it. */
async function measure(model: Chat, texts: readonly Text[], reference: Float32Array[]): Promise<Quality> {
  const [logprobs, divergences]: [number[], number[]] = [[], []];
  let agreeing = 0;
  for (const { tokens, from } of texts) {
    for await (const { first, logprobs: rows, logits } of model.score(tokens, { logits: true })) {
      const width = logits!.length / rows.length;
      for (let row = 0; row < rows.length; row++) {
        if (first + row >= from) logprobs.push(rows[row]!);
        if (first + row + 1 < from || first + row + 1 === tokens.length) continue; // they foretell the next token
        const own = logits!.slice(row * width, (row + 1) * width);
        const [p, q] = [logSoftmax(reference[divergences.length] ??= own), logSoftmax(own)];
        divergences.push(divergence(p, q));
        agreeing += Number(likeliest(p) === likeliest(q));
      }
    }
  }
  const weightBytes = model.info.stages.reduce((sum, stage) => sum + stage.weightBytes, 0);
  return { weightBytes, perplexity: Math.exp(-mean(logprobs)), divergences, agreement: agreeing / divergences.length };
}

function row({ quantize, kvCache }: Policy, { weightBytes, perplexity, divergences, agreement }: Quality): string {
  const sorted = divergences.toSorted((a, b) => a - b);
  const cells = [
    quantize,
    kvCache,
    `${(weightBytes / 1e6).toFixed(1)} MB`,
    perplexity.toFixed(4),
    mean(divergences).toExponential(2),
    sorted[Math.floor(0.99 * (sorted.length - 1))]!.toExponential(2),
    `${(100 * agreement).toFixed(2)} %`,
  ];
  return `| ${cells.join(" | ")} |`;
}

const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
const reference: Float32Array[] = [];
let texts: Text[] | null = null;
print("| --quantize | --kv-cache | weights | perplexity | KL, mean | KL, 99 of 100 are below | same likeliest token |");
print("| --- | --- | --- | --- | --- | --- | --- |");
for (const policy of POLICIES) {
  const backend = flags.backend as "auto" | "webgpu" | "wasm";
  await using model = await load({ model: flags.model, backend, ...policy, maxContext: 2048 });
  texts ??= await readTexts(model);
  print(row(policy, await measure(model, texts, reference)));
}
print(`\n${reference.length} tokens in ${texts!.length} texts`);

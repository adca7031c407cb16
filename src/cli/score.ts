/** `ringlet score`: how likely the model finds a text. */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { matching, modelCommand, toLoadOptions } from "./args.ts";
import type { Host, Model } from "./host.ts";
import { interruptible } from "./interrupt.ts";
import { readInput } from "./input_file.ts";
import { LogitsFile } from "./logits_file.ts";
import { openModel } from "./open.ts";

const help = `
Examples:
  ringlet score --file book.txt
  ringlet score --tokens 12,7,99 --logits out.json
  ringlet score --tokens @tokens.json --chunks 5,64,1   (a JSON array; 5, then 64, then 1 token a step, and again)`;

export function scoreCommand(host: Host) {
  return modelCommand("score")
    .description("log-probabilities and perplexity of a text or of tokens")
    .addOption(new Option("--file <text>", "text to score").conflicts("tokens"))
    .option("--tokens <ids>", "token ids to score: 1,2,3 or @file.json")
    .addOption(
      new Option("--chunks <rows>", "tokens of each step, used in turn; 1 reads token by token").argParser(rows),
    )
    .option("--logits <out>", "write the logits of every position to a JSON file")
    .option("--json", "print one JSON object, with the log-probability of each token")
    .addHelpText("after", help)
    .action(async (flags) => {
      const given = await read(flags);
      await using model = await openModel(host, toLoadOptions(flags));
      const tokens = typeof given === "string" ? encode(model, given) : given;
      if (tokens.length < 2) {
        throw new RangeError(`Cannot score ${tokens.length} tokens: two are needed, the first is only read`);
      }
      const logprobs = await interruptible((signal) => score(model, tokens, flags, signal));
      host.terminal.write(flags.json ? toJson(logprobs) : toText(logprobs));
    });
}

function rows(text: string): number[] {
  return matching(/^[1-9]\d*(,[1-9]\d*)*$/, "row counts like 5,64,1")(text).split(",").map(Number);
}

/** The text, or the ids, that are to be scored. */
async function read({ file, tokens }: { file?: string; tokens?: string }): Promise<string | Uint32Array> {
  if (file !== undefined) return await readInput(file);
  if (tokens === undefined) throw new InvalidArgumentError("score needs --file or --tokens");
  const text = tokens.startsWith("@") ? await readInput(tokens.slice(1)) : `[${tokens}]`;
  let ids: unknown;
  try {
    ids = JSON.parse(text);
  } catch {
    ids = null;
  }
  if (Array.isArray(ids) && ids.every((id) => Number.isInteger(id) && id >= 0 && id < 2 ** 32)) {
    return Uint32Array.from(ids);
  }
  throw new TypeError(`Cannot read ${tokens.slice(0, 60)} as token ids: write 1,2,3 or @file with a JSON array of ids`);
}

function encode({ tokenizer, model }: Model, text: string): Uint32Array {
  if (tokenizer) return tokenizer.encode(text);
  throw new TypeError(`Cannot score a text with ${model}, which has no tokenizer: give --tokens`);
}

/** The log-probability of each token but the first. */
async function score(
  model: Model,
  tokens: Uint32Array,
  { logits, chunks }: { logits?: string; chunks?: number[] },
  signal: AbortSignal,
): Promise<number[]> {
  await using file = logits === undefined ? null : await LogitsFile.create(logits, tokens);
  const all: number[] = [];
  const options = { logits: file !== null, ...(chunks ? { chunks } : {}) };
  for await (const rows of model.score(tokens, options, signal)) {
    all.push(...rows.logprobs);
    if (rows.logits) file?.append(rows.logits, rows.logprobs.length);
  }
  await file?.finish();
  return all.slice(1);
}

function totals(logprobs: readonly number[]) {
  const logprob = logprobs.reduce((sum, value) => sum + value, 0);
  const nats = -logprob / logprobs.length;
  return { tokens: logprobs.length + 1, logprob, nats_per_token: nats, perplexity: Math.exp(nats) };
}

function toJson(logprobs: readonly number[]): string {
  return `${JSON.stringify({ ...totals(logprobs), logprobs: [null, ...logprobs] })}\n`;
}

function toText(logprobs: readonly number[]): string {
  const { tokens, logprob, nats_per_token, perplexity } = totals(logprobs);
  return [
    `tokens          ${tokens}`,
    `log-probability ${logprob.toFixed(4)} of the ${tokens - 1} after the first`,
    `nats per token  ${nats_per_token.toFixed(4)}`,
    `perplexity      ${perplexity.toPrecision(6)}`,
    "",
  ].join("\n");
}

/** Streams of a server, token by token with their log-probabilities and when each came, and what they should be. */
import { random } from "../../bench/abuse.ts";

/** The embedded model's vocabulary, without what is special. */
const WORDS = 4000;

/** Both tokens that end an answer of the embedded model, made impossible: answers have the length that is asked for. */
const ENDLESS = { "4086": -100, "4089": -100 };

/** Body of a request for a completion. */
export interface Question {
  readonly prompt: readonly number[];
  readonly max_tokens: number;
  readonly temperature: number;
  readonly seed: number;
}

export interface Token {
  /** Of the tokens at one place, the chosen one first: spelled out, with its log-probability. */
  readonly chances: readonly (readonly [string, number])[];
  /** When it came, by `performance.now()`. */
  readonly at: number;
}

/** What became of a request. */
export interface Reply {
  readonly tokens: readonly Token[];
  readonly cached: number;
  /** Its reason to end, if it came to its end. */
  readonly finish: string | null;
  /** What the server said went wrong, or how the connection failed. */
  readonly error: string | null;
  /** Of HTTP. */
  readonly status: number;
  readonly begun: number;
  readonly ended: number;
}

/** Questions of many lengths; of each four, one is greedy, and two begin alike for more than a page. */
export function questionsFor(count: number, tokens: number, seed = 1): readonly Question[] {
  const draw = random(seed);
  const words = (length: number) => Array.from({ length }, () => Math.floor(draw() * WORDS));
  const common = words(300);
  return Array.from({ length: count }, (_, i) => ({
    prompt: [...(i % 4 < 2 ? common : []), ...words(8 + Math.floor(draw() * 120))],
    max_tokens: tokens,
    temperature: i % 4 === 0 ? 0 : 1,
    seed: i,
  }));
}

/** Asks, and reads the stream to its end, however it ends; `heard` is called with each piece of it. */
export async function ask(url: string, question: Question, heard = () => {}): Promise<Reply> {
  const begun = performance.now();
  const reply = { tokens: [] as Token[], cached: 0, finish: null, error: null, status: 0, begun };
  const body = { ...question, logit_bias: ENDLESS, logprobs: 2, stream: true, stream_options: { include_usage: true } };
  try {
    const signal = AbortSignal.timeout(600_000);
    const init = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    };
    const response = await fetch(`${url}/v1/completions`, init);
    reply.status = response.status;
    if (!response.ok) Object.assign(reply, { error: message(await response.json()) });
    else {
      for await (const event of eventsOf(response.body!)) {
        take(reply, event);
        heard();
      }
    }
  } catch (error) {
    Object.assign(reply, { error: `the connection failed: ${(error as Error).message}` });
  }
  return { ...reply, ended: performance.now() };
}

// deno-lint-ignore no-explicit-any -- a chunk of a stream, in the server's own schema
type Chunk = any;

function take(reply: { tokens: Token[] }, { error, choices, usage }: Chunk): void {
  if (error) Object.assign(reply, { error: message({ error }) });
  if (usage) Object.assign(reply, { cached: usage.prompt_tokens_details.cached_tokens });
  for (const { logprobs, finish_reason } of choices ?? []) {
    if (finish_reason) Object.assign(reply, { finish: finish_reason });
    for (const [i, token] of (logprobs?.tokens ?? []).entries()) {
      const others = Object.entries<number>(logprobs.top_logprobs[i]).filter(([other]) => other !== token);
      reply.tokens.push({ chances: [[token, logprobs.token_logprobs[i]], ...others], at: performance.now() });
    }
  }
}

function message({ error }: Chunk): string {
  return `${error.message ?? JSON.stringify(error)}`;
}

async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Chunk> {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith("data: {")) yield JSON.parse(line.slice(6));
  }
}

/** How a reply is not what it should be, in one sentence; null if it is the same, to the last bit of its log-probabilities. */
export function difference(reply: Reply, wanted: Reply): string | null {
  const spell = ({ chances }: Token) => JSON.stringify(chances);
  const place = reply.tokens.findIndex((token, i) => !wanted.tokens[i] || spell(token) !== spell(wanted.tokens[i]));
  if (place >= 0) {
    const [is, should] = [reply, wanted].map(({ tokens }) => tokens[place] ? spell(tokens[place]) : "the end");
    return `token ${place} is ${is} and should be ${should}`;
  }
  if (reply.error !== null) return `it ended behind ${reply.tokens.length} tokens: ${reply.error}`;
  if (reply.finish !== wanted.finish) return `it ended with ${reply.finish} behind ${reply.tokens.length} tokens`;
  const missing = wanted.tokens.length - reply.tokens.length;
  return missing > 0 ? `its last ${missing} tokens are missing` : null;
}

/** The longest time without a token, in milliseconds. */
export function longestPause({ tokens, begun, ended }: Reply): number {
  const times = [begun, ...tokens.map(({ at }) => at), ended];
  return Math.max(...times.slice(1).map((time, i) => time - times[i]!));
}

/** A chat over an engine that answers every request with the same tokens, and remembers what it was asked. */
import { Chat, type ChatParts } from "../../src/chat/chat.ts";
import type { TokenGenerator } from "../../src/chat/generation.ts";
import type { ChatRequest, Delta } from "../../src/chat/messages.ts";
import type {
  EngineFinish,
  GeneratedToken,
  GenerateRequest,
  ScoreRequest,
  ScoreRows,
} from "../../src/pipeline/requests.ts";
import { template, tokenizer } from "./ring_nano.ts";

export const ROLE_END = tokenizer.idOf("<|role_end|>")!;

/** Answers every request with the same tokens. */
export class ScriptedEngine implements TokenGenerator {
  readonly info;
  readonly requests: GenerateRequest[] = [];
  ended: EngineFinish | "failed" | undefined;
  disposed = false;
  readonly failure = null;

  constructor(readonly script: readonly GeneratedToken[], readonly thrown?: Error, context = 2048) {
    this.info = { stages: [], devices: 1, context, slots: 1, vocabulary: tokenizer.vocabSize };
  }

  status() {
    const prefixCache = { device: { bytes: 0, hits: 0 }, host: { bytes: 0, hits: 0 } };
    return Promise.resolve({ running: 0, waiting: 0, steps: 0, rows: 0, preemptions: 0, prefixCache });
  }

  generate(request: GenerateRequest, signal?: AbortSignal) {
    this.requests.push(request);
    const result = Promise.withResolvers<{ finish: EngineFinish; stats: typeof stats }>();
    const stats = {
      promptTokens: request.prompt.length,
      cachedTokens: 0,
      generatedTokens: 0,
      prefillMillis: 3,
      decodeMillis: 5,
    };
    const end = (finish: EngineFinish) => {
      this.ended ??= finish;
      result.resolve({ finish, stats });
    };
    return Object.assign(this.#tokens(request, signal, end), { result: result.promise });
  }

  async *#tokens(request: GenerateRequest, signal: AbortSignal | undefined, end: (finish: EngineFinish) => void) {
    try {
      for (const token of this.script.slice(0, request.maxTokens)) {
        await Promise.resolve();
        if (signal?.aborted) return;
        yield token;
        if (request.stopTokens.includes(token.id)) return end("stop");
      }
      if (this.thrown) this.ended = "failed";
      if (this.thrown) throw this.thrown;
      end("length");
    } finally {
      end("abort");
    }
  }

  /** One stretch with all positions, each as likely as its place says. */
  async *score({ tokens, logits }: ScoreRequest): AsyncGenerator<ScoreRows> {
    await Promise.resolve();
    const logprobs = Float64Array.from(tokens, (_, i) => i === 0 ? NaN : -i);
    yield { first: 0, logprobs, logits: logits ? new Float32Array(tokens.length) : null };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }
}

export function ids(text: string): number[] {
  return [...tokenizer.encode(text, { special: true })];
}

export function withLogprobs(tokens: readonly number[]): GeneratedToken[] {
  return tokens.map((id, i) => ({ id, logprob: -i, top: [[id, -i], [ROLE_END, -i - 1]] }));
}

export function chatWith(
  tokens: readonly number[],
  parts: Partial<ChatParts> & { failure?: Error; context?: number } = {},
) {
  const engine = new ScriptedEngine(tokens.map((id) => ({ id })), parts.failure, parts.context);
  const chat = new Chat({ model: "nano", tokenizer, template, engine, stopTokens: [ROLE_END], ...parts });
  return { chat, engine };
}

export const question: ChatRequest = { messages: [{ role: "user", content: "What is 347 + 2589?" }] };
export const weather: ChatRequest = { ...question, tools: [{ type: "function", function: { name: "get_weather" } }] };

export async function collect(deltas: AsyncIterable<Delta>): Promise<Delta[]> {
  return await Array.fromAsync(deltas);
}

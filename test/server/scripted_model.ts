/** A model that says what a test has written for it, and remembers what became of each generation. */
import type { ChatRequest, CompletionRequest, Delta, Usage } from "../../src/chat/messages.ts";
import type { ServedModel } from "../../src/server/served.ts";

export const usage: Usage = { promptTokens: 7, cachedTokens: 0, completionTokens: 3, reasoningTokens: 1 };
export const finish: Delta = { type: "finish", reason: "stop", usage, timings: { prefillMillis: 1, decodeMillis: 1 } };

export const content = (text: string): Delta => ({ type: "content", text });

/** What a script's function gives is said next; what it throws, or its promise rejects with, breaks the generation. */
export type Script = Iterable<Delta | ((signal: AbortSignal | undefined) => Delta | Promise<Delta>)>;

const stage = {
  layers: { start: 0, end: 10 },
  backend: "wasm",
  device: "CPU",
  weightBytes: 1,
  stateBytes: 1,
  cacheBytes: 1,
  vocabulary: 4,
} as const;

export class ScriptedModel implements ServedModel {
  readonly requests: (ChatRequest | CompletionRequest)[] = [];
  /** Generations that have begun and not ended. */
  running = 0;
  /** Generations that ended before their script did. */
  cut = 0;
  /** Its tokens are the characters' codes. */
  readonly tokenizer: ServedModel["tokenizer"] = {
    encode: (text) => Uint32Array.from(text, (character) => character.charCodeAt(0)),
    decode: (ids) => String.fromCharCode(...Array.from(ids)),
  };
  /** Why it can answer nothing any more. */
  failure: Error | null = null;

  readonly info = { stages: [stage], devices: 1, context: 64, slots: 2, vocabulary: 4 };

  /** A script, or what makes one of the last message. */
  constructor(readonly script: Script | ((question: string) => Script)) {}

  status() {
    const prefixCache = { device: { bytes: 70, hits: 4 }, host: { bytes: 90, hits: 2 } };
    return Promise.resolve({ running: this.running, waiting: 0, steps: 5, rows: 12, preemptions: 3, prefixCache });
  }

  stream(request: ChatRequest, signal?: AbortSignal): AsyncGenerator<Delta> {
    return this.#say(request, signal);
  }

  complete(request: CompletionRequest, signal?: AbortSignal): AsyncGenerator<Delta> {
    return this.#say(request, signal);
  }

  promptTokens({ messages }: ChatRequest): Uint32Array {
    return this.tokenizer!.encode(messages.map(({ role, content }) => `${role}:${content}`).join("\n"));
  }

  async *#say(request: ChatRequest | CompletionRequest, signal?: AbortSignal): AsyncGenerator<Delta> {
    this.requests.push(request);
    this.running++;
    this.cut++;
    try {
      for (const part of typeof this.script === "function" ? this.script(lastText(request)) : this.script) {
        signal?.throwIfAborted();
        const delta = typeof part === "function" ? await part(signal) : part;
        // The last delta ends the script, whoever still waits for more.
        if (delta.type === "finish") this.cut--;
        yield delta;
      }
    } finally {
      this.running--;
    }
  }
}

/** Never comes, unless its generation is aborted: then it fails as a waiting engine would. */
export function forever(signal: AbortSignal | undefined): Promise<Delta> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
}

function lastText(request: ChatRequest | CompletionRequest): string {
  return "prompt" in request ? String(request.prompt) : request.messages.at(-1)?.content ?? "";
}

/** Whole replies out of their deltas. */
import type { Delta, Reply, TokenLogprob, ToolCall } from "./messages.ts";

/** @throws {TypeError} if the stream stops before its `finish`; what the stream throws, it throws. */
export async function fold(deltas: AsyncIterable<Delta>): Promise<Reply> {
  const folder = new Folder();
  for await (const delta of deltas) folder.push(delta);
  return folder.reply();
}

/** Takes the deltas of one answer one by one. */
export class Folder {
  readonly #toolCalls: ToolCall[] = [];
  readonly #logprobs: TokenLogprob[] = [];
  #content = "";
  #reasoning = "";
  #finish: Extract<Delta, { type: "finish" }> | null = null;

  push(delta: Delta): void {
    switch (delta.type) {
      case "content":
        this.#content += delta.text;
        break;
      case "reasoning":
        this.#reasoning += delta.text;
        break;
      case "tool_call":
        this.#toolCalls[delta.index] = extend(this.#toolCalls[delta.index], delta);
        break;
      case "finish":
        this.#finish = delta;
        return;
      default:
        delta satisfies never;
    }
    this.#logprobs.push(...delta.logprobs ?? []);
  }

  /** @throws {TypeError} before the `finish` was pushed. */
  reply(): Reply {
    if (!this.#finish) throw new TypeError("Cannot fold an answer that has no end");
    const { reason, usage, timings } = this.#finish;
    return {
      content: this.#content,
      reasoning: this.#reasoning,
      toolCalls: this.#toolCalls,
      logprobs: this.#logprobs,
      reason,
      usage,
      timings,
    };
  }
}

function extend(call: ToolCall | undefined, delta: Delta & { readonly type: "tool_call" }): ToolCall {
  const { id = "", name = "", arguments: text } = delta;
  if (!call) return { id, type: "function", function: { name, arguments: text } };
  return { ...call, function: { ...call.function, arguments: call.function.arguments + text } };
}

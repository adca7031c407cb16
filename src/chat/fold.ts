/** A whole reply out of its deltas. */
import type { Delta, Reply, TokenLogprob, ToolCall } from "./messages.ts";

/** @throws {TypeError} if the stream stops before its `finish`; what the stream throws, it throws. */
export async function fold(deltas: AsyncIterable<Delta>): Promise<Reply> {
  let content = "";
  let reasoning = "";
  const toolCalls: ToolCall[] = [];
  const logprobs: TokenLogprob[] = [];
  for await (const delta of deltas) {
    switch (delta.type) {
      case "content":
        content += delta.text;
        break;
      case "reasoning":
        reasoning += delta.text;
        break;
      case "tool_call":
        toolCalls[delta.index] = extend(toolCalls[delta.index], delta);
        break;
      case "finish": {
        const { reason, usage, timings } = delta;
        return { content, reasoning, toolCalls, logprobs, reason, usage, timings };
      }
      default:
        delta satisfies never;
    }
    logprobs.push(...delta.logprobs ?? []);
  }
  throw new TypeError("Cannot fold an answer that has no end");
}

function extend(call: ToolCall | undefined, delta: Delta & { readonly type: "tool_call" }): ToolCall {
  const { id = "", name = "", arguments: text } = delta;
  if (!call) return { id, type: "function", function: { name, arguments: text } };
  return { ...call, function: { ...call.function, arguments: call.function.arguments + text } };
}

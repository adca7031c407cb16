/** Prints an answer while it comes: its text to stdout, its thought dimmed to stderr. */
import type { Delta, Reply } from "../chat/messages.ts";
import type { Terminal } from "./terminal.ts";
import { harmless } from "./terminal.ts";

/** Passes the deltas on. Ends what it printed with a line end, also where the answer is cut off. */
export async function* printed(
  deltas: AsyncIterable<Delta>,
  terminal: Terminal,
  { thought }: { readonly thought: boolean },
): AsyncGenerator<Delta> {
  const { dim } = terminal.paint;
  let last = "";
  try {
    for await (const delta of deltas) {
      if (delta.type === "reasoning" && thought) {
        terminal.note(dim(harmless(delta.text)));
        last = "reasoning";
      } else if (delta.type === "content" && delta.text !== "") {
        if (last === "reasoning") terminal.note("\n\n");
        terminal.write(delta.text);
        last = delta.text;
      }
      yield delta;
    }
  } finally {
    if (last === "reasoning") terminal.note("\n");
    else if (last !== "" && !last.endsWith("\n")) terminal.write("\n");
  }
}

/** Speeds of a reply; null where too little was done to tell. */
export function speeds({ usage, timings }: Pick<Reply, "usage" | "timings">) {
  const rate = (tokens: number, millis: number) => tokens > 0 && millis > 0 ? tokens / millis * 1000 : null;
  return {
    prefill: rate(usage.promptTokens, timings.prefillMillis),
    decode: rate(usage.completionTokens - 1, timings.decodeMillis),
  };
}

/** One line on a reply's tokens and speed. */
export function summary(reply: Pick<Reply, "usage" | "timings">): string {
  const { promptTokens, completionTokens, reasoningTokens } = reply.usage;
  const { decode } = speeds(reply);
  return [
    `${promptTokens} + ${completionTokens} tokens${reasoningTokens > 0 ? ` (${reasoningTokens} thought)` : ""}`,
    `first after ${(reply.timings.prefillMillis / 1000).toFixed(2)} s`,
    ...(decode === null ? [] : [`then ${decode.toFixed(decode < 10 ? 1 : 0)} tokens/s`]),
  ].join(", ");
}

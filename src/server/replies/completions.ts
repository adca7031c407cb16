/** Raw completions in OpenAI's shape. */
import type { Usage } from "../../chat/messages.ts";
import { type ChoiceDelta, foldChoices } from "../choices.ts";
import type * as schema from "../schema/completions.ts";
import { type Head, toUsage } from "./common.ts";
import { CompletionLogprobsWriter } from "./completion_logprobs.ts";

/** @param n Choices of each prompt. */
export async function completion(
  head: Head,
  deltas: AsyncIterable<ChoiceDelta>,
  n: number,
): Promise<schema.Completion> {
  const replies = await foldChoices(deltas);
  return {
    ...head,
    object: "text_completion",
    choices: replies.map(({ content, logprobs, reason }, index) => ({
      index,
      text: content,
      logprobs: new CompletionLogprobsWriter().push(content, logprobs),
      finish_reason: reason,
    })),
    usage: toUsage(replies.map(({ usage }) => usage), n),
  };
}

/** A chunk for each delta; the usage of all last, in a chunk without choices, if wanted. */
export async function* completionChunks(
  head: Head,
  deltas: AsyncIterable<ChoiceDelta>,
  n: number,
  withUsage: boolean,
): AsyncGenerator<schema.Completion> {
  const chunk = (...choices: schema.Completion["choices"]): schema.Completion => ({
    ...head,
    object: "text_completion",
    choices,
    ...(withUsage ? { usage: null } : {}),
  });
  const writers: CompletionLogprobsWriter[] = [];
  const usages: Usage[] = [];
  for await (const { choice, delta } of deltas) {
    if (delta.type === "content") {
      const logprobs = (writers[choice] ??= new CompletionLogprobsWriter()).push(delta.text, delta.logprobs ?? []);
      yield chunk({ index: choice, text: delta.text, logprobs, finish_reason: null });
    } else if (delta.type === "finish") {
      usages[choice] = delta.usage;
      yield chunk({ index: choice, text: "", logprobs: null, finish_reason: delta.reason });
    }
  }
  if (withUsage) yield { ...chunk(), usage: toUsage(usages, n) };
}

/** Chat completions in OpenAI's shape. */
import type { Delta, Reply, TokenLogprob, Usage } from "../../chat/messages.ts";
import { type ChoiceDelta, foldChoices } from "../choices.ts";
import type * as schema from "../schema/chat.ts";
import { type Head, toLogprob, toUsage } from "./common.ts";

export async function chatCompletion(
  head: Head,
  deltas: AsyncIterable<ChoiceDelta>,
): Promise<schema.ChatCompletion> {
  const replies = await foldChoices(deltas);
  return {
    ...head,
    object: "chat.completion",
    choices: replies.map(toChoice),
    usage: toUsage(replies.map(({ usage }) => usage), replies.length),
  };
}

function toChoice(reply: Reply, index: number): schema.ChatCompletion["choices"][number] {
  const { reasoning, toolCalls } = reply;
  return {
    index,
    message: {
      role: "assistant",
      content: reply.content === "" && toolCalls.length > 0 ? null : reply.content,
      ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
      ...(toolCalls.length === 0
        ? {}
        : { tool_calls: toolCalls.map((call) => ({ ...call, function: { ...call.function } })) }),
      refusal: null,
    },
    logprobs: toLogprobs(reply.logprobs),
    finish_reason: reply.reason,
  };
}

type Chunk = schema.ChatCompletionChunk;
type Choice = Chunk["choices"][number];

/** Each choice's role first, then a chunk for each delta; the usage of all last, in a chunk without choices, if wanted. */
export async function* chatChunks(
  head: Head,
  deltas: AsyncIterable<ChoiceDelta>,
  n: number,
  withUsage: boolean,
): AsyncGenerator<Chunk> {
  const chunk = (...choices: Choice[]): Chunk => ({
    ...head,
    object: "chat.completion.chunk",
    choices,
    ...(withUsage ? { usage: null } : {}),
  });
  for (let choice = 0; choice < n; choice++) yield chunk(part(choice, { role: "assistant", content: "" }));
  const usages: Usage[] = [];
  for await (const { choice, delta } of deltas) {
    yield chunk(toPart(choice, delta));
    if (delta.type === "finish") usages[choice] = delta.usage;
  }
  if (withUsage) yield { ...chunk(), usage: toUsage(usages, n) };
}

function toPart(choice: number, delta: Delta): Choice {
  switch (delta.type) {
    case "reasoning":
      return part(choice, { reasoning_content: delta.text }, delta.logprobs);
    case "content":
      return part(choice, { content: delta.text }, delta.logprobs);
    case "tool_call":
      return part(choice, { tool_calls: [toToolCallDelta(delta)] }, delta.logprobs);
    case "finish":
      return { ...part(choice, {}), finish_reason: delta.reason };
    default:
      return delta satisfies never;
  }
}

function part(index: number, delta: Choice["delta"], logprobs: readonly TokenLogprob[] = []): Choice {
  return { index, delta, logprobs: toLogprobs(logprobs), finish_reason: null };
}

function toToolCallDelta({ index, id, name, arguments: text }: Extract<Delta, { type: "tool_call" }>) {
  return {
    index,
    ...(id === undefined ? {} : { id, type: "function" as const }),
    function: { ...(name === undefined ? {} : { name }), arguments: text },
  };
}

function toLogprobs(tokens: readonly TokenLogprob[]): schema.Logprobs {
  if (tokens.length === 0) return null;
  return { content: tokens.map(toLogprob), refusal: null };
}

/** Deltas and replies of the chat layer in OpenAI's shape. */
import type { Delta, Reply, TokenLogprob, Usage } from "../chat/messages.ts";
import type * as schema from "./schema.ts";

/** What all parts of one answer share. */
export interface Head {
  readonly id: string;
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
}

export function chatCompletion(head: Head, reply: Reply): schema.ChatCompletion {
  const { reasoning, toolCalls } = reply;
  return {
    ...head,
    object: "chat.completion",
    choices: [{
      index: 0,
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
    }],
    usage: toUsage(reply.usage),
  };
}

/** The role first, then a chunk for each delta; the usage last, in a chunk without choices, if wanted. */
export async function* chatChunks(
  head: Head,
  deltas: AsyncIterable<Delta>,
  withUsage: boolean,
): AsyncGenerator<schema.ChatCompletionChunk> {
  type Choice = schema.ChatCompletionChunk["choices"][number];
  const chunk = (
    delta: Choice["delta"],
    logprobs: readonly TokenLogprob[] = [],
    finish: Choice["finish_reason"] = null,
  ): schema.ChatCompletionChunk => ({
    ...head,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, logprobs: toLogprobs(logprobs), finish_reason: finish }],
    ...(withUsage ? { usage: null } : {}),
  });
  yield chunk({ role: "assistant", content: "" });
  for await (const delta of deltas) {
    switch (delta.type) {
      case "reasoning":
        yield chunk({ reasoning_content: delta.text }, delta.logprobs);
        break;
      case "content":
        yield chunk({ content: delta.text }, delta.logprobs);
        break;
      case "tool_call":
        yield chunk({ tool_calls: [toToolCallDelta(delta)] }, delta.logprobs);
        break;
      case "finish":
        yield chunk({}, [], delta.reason);
        if (withUsage) yield { ...chunk({}), choices: [], usage: toUsage(delta.usage) };
        break;
      default:
        delta satisfies never;
    }
  }
}

export function completion(head: Head, reply: Reply): schema.Completion {
  const choice = { index: 0, text: reply.content, logprobs: null, finish_reason: reply.reason };
  return { ...head, object: "text_completion", choices: [choice], usage: toUsage(reply.usage) };
}

export async function* completionChunks(
  head: Head,
  deltas: AsyncIterable<Delta>,
  withUsage: boolean,
): AsyncGenerator<schema.Completion> {
  const chunk = (text: string, finish: schema.Completion["choices"][number]["finish_reason"]): schema.Completion => ({
    ...head,
    object: "text_completion",
    choices: [{ index: 0, text, logprobs: null, finish_reason: finish }],
    ...(withUsage ? { usage: null } : {}),
  });
  for await (const delta of deltas) {
    if (delta.type === "content") yield chunk(delta.text, null);
    if (delta.type !== "finish") continue;
    yield chunk("", delta.reason);
    if (withUsage) yield { ...chunk("", null), choices: [], usage: toUsage(delta.usage) };
  }
}

function toToolCallDelta({ index, id, name, arguments: text }: Extract<Delta, { type: "tool_call" }>) {
  return {
    index,
    ...(id === undefined ? {} : { id, type: "function" as const }),
    function: { ...(name === undefined ? {} : { name }), arguments: text },
  };
}

function toUsage({ promptTokens, completionTokens, reasoningTokens }: Usage): schema.Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
}

function toLogprobs(tokens: readonly TokenLogprob[]): schema.Logprobs {
  if (tokens.length === 0) return null;
  return {
    content: tokens.map((token) => ({ ...toLogprob(token), top_logprobs: token.top.map(toLogprob) })),
    refusal: null,
  };
}

/** OpenAI writes −9999 for what JSON cannot say, −∞. */
function toLogprob({ token, bytes, logprob }: Omit<TokenLogprob, "top">) {
  return { token, bytes: [...bytes], logprob: Math.max(logprob, -9999) };
}

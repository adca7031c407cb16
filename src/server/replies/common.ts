/** What replies of several endpoints say alike. */
import type { TokenLogprob, Usage } from "../../chat/messages.ts";
import type * as schema from "../schema/common.ts";

/** What all parts of one answer share. */
export interface Head {
  readonly id: string;
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
}

/** Of all choices together. Each `n` of them have one prompt, which counts once. */
export function toUsage(usages: readonly Usage[], n: number): schema.Usage {
  const prompts = usages.filter((_, choice) => choice % n === 0);
  const promptTokens = sum(prompts, ({ promptTokens }) => promptTokens);
  const completionTokens = sum(usages, ({ completionTokens }) => completionTokens);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: sum(prompts, ({ cachedTokens }) => cachedTokens) },
    completion_tokens_details: { reasoning_tokens: sum(usages, ({ reasoningTokens }) => reasoningTokens) },
  };
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}

export function toLogprob({ top, ...token }: TokenLogprob): schema.Logprob {
  return { ...toChance(token), top_logprobs: top.map(toChance) };
}

function toChance({ token, bytes, logprob }: Omit<TokenLogprob, "top" | "offset">) {
  return { token, bytes: [...bytes], logprob: finite(logprob) };
}

/** OpenAI writes −9999 for what JSON cannot say, −∞. */
export function finite(logprob: number): number {
  return Math.max(logprob, -9999);
}

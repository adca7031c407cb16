/** Raw completions in OpenAI's shape, translated for the chat layer. */
import type { CompletionRequest } from "../../chat/messages.ts";
import type * as schema from "../schema/completions.ts";
import { eachChoice, given, toOptions } from "./options.ts";

/** Tokens of a raw completion that does not say how many it wants, as OpenAI documents. */
const DEFAULT_TOKENS = 16;

/** One request for each choice: those of the first prompt, then those of the second. */
export function toCompletionRequests(body: schema.CompletionRequest): CompletionRequest[] {
  const options = {
    ...toOptions(body, body.max_tokens ?? DEFAULT_TOKENS),
    ...given("logprobs", body.logprobs),
    ...(body.echo ? { echo: true } : {}),
  };
  return prompts(body.prompt).flatMap((prompt) => eachChoice({ prompt, ...options }, body.n));
}

function prompts(prompt: schema.CompletionRequest["prompt"]): CompletionRequest["prompt"][] {
  if (typeof prompt === "string") return [prompt];
  return isIds(prompt) ? [prompt] : prompt;
}

function isIds(prompt: readonly (string | number | number[])[]): prompt is number[] {
  return typeof prompt[0] === "number";
}

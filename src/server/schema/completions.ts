/** Raw completions: the one source of validation, of types and of the OpenAPI document. */
import { z } from "@hono/zod-openapi";
import { finishReason, generation, tokenIds, usage } from "./common.ts";

/** Texts or lists of token ids that one request may have. */
const MOST_PROMPTS = 2048;

const text = z.string().min(1);
const ids = tokenIds.min(1);

export const CompletionRequest = z.strictObject({
  prompt: z.union(
    [text, z.array(text).min(1).max(MOST_PROMPTS), ids, z.array(ids).min(1).max(MOST_PROMPTS)],
    "expected a string, an array of strings, an array of token ids or an array of such arrays",
  ),
  ...generation,
  max_tokens: z.int().min(0).nullish().openapi({
    description: "16 if left out, as OpenAI has it; 0, with echo, only reads the prompt.",
  }),
  logprobs: z.int().min(0).max(20).nullish().openapi({ description: "Likeliest tokens to report at each place." }),
  echo: z.boolean().nullish(),
  best_of: z.int().min(1).nullish(),
  suffix: z.null("text is only continued, not filled in").optional(),
}).refine(({ n, best_of }) => best_of == null || best_of === (n ?? 1), {
  path: ["best_of"],
  error: "only n is supported: all choices are given",
}).openapi("CompletionRequest");

const logprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullable(),
  text_offset: z.array(z.int()),
}).nullable().openapi("CompletionLogprobs", {
  description:
    "Of every token in order, the prompt's included with echo; its first one has none. Tokens that are no whole " +
    "characters are spelled `bytes:\\xe2\\x80`. Offsets count Unicode characters.",
});

/** The reply and, streamed, each of its chunks. */
export const Completion = z.object({
  id: z.string(),
  object: z.literal("text_completion"),
  created: z.int(),
  model: z.string(),
  choices: z.array(z.object({
    index: z.int(),
    text: z.string(),
    logprobs,
    finish_reason: finishReason.nullable(),
  })),
  usage: usage.nullish(),
}).openapi("Completion");

export type CompletionRequest = z.infer<typeof CompletionRequest>;
export type Completion = z.infer<typeof Completion>;
export type CompletionLogprobs = z.infer<typeof logprobs>;

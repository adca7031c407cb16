/** What the schemas of several endpoints share. */
import { z } from "@hono/zod-openapi";

/** OpenAI's fields that cannot change the answer here: accepted and ignored. Every other unknown field is refused by name. */
export const ignored = {
  user: z.unknown().optional(),
  metadata: z.unknown().optional(),
  store: z.unknown().optional(),
  service_tier: z.unknown().optional(),
  safety_identifier: z.unknown().optional(),
  prompt_cache_key: z.unknown().optional(),
  prompt_cache_retention: z.unknown().optional(),
};

export const sampling = {
  temperature: z.number().min(0).max(2).nullish().openapi({ description: "0, the default, is greedy." }),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(-1).nullish().openapi({ description: "Keep the k likeliest tokens; 0 and -1 keep all." }),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().min(0.01).max(10).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^\d{1,9}$/, "expected a token id"), z.number().min(-100).max(100)).nullish(),
  seed: z.int().nullish(),
};

/** Ids of the vocabulary; which there are, the model knows. */
export const tokenIds = z.array(z.int().min(0).max(2 ** 32 - 1));

export const model = z.string().nullish().openapi({
  description: 'The served model\'s name, that of its folder or "auto"; may be left out.',
});

/** What OpenAI's client adds to what it got: the same text once more, as it parsed it. */
export const asParsed = z.unknown().optional();

const text = z.string().min(1);

export const generation = {
  model,
  ...sampling,
  stop: z.union([text, z.array(text).max(16)], "expected a string or an array of strings").nullish(),
  n: z.int().min(1).max(16).nullish().openapi({
    description: "Choices; the seed of choice i is the request's plus i.",
  }),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({
    include_usage: z.boolean().nullish(),
    include_obfuscation: z.unknown().optional(),
  }).nullish(),
  ...ignored,
};

export const topLogprobs = z.int().min(0).max(20).nullish();

const budget = z.int().min(0).nullish();

/** Our own names for what a chat may say of its thought. */
export const thinking = {
  chat_template_kwargs: z.strictObject({ enable_thinking: z.boolean().nullish(), thinking_budget: budget }).nullish(),
  thinking_budget: budget.openapi({ description: "Tokens after which a thought is closed." }),
};

export const effort = z.enum(["none", "minimal", "low", "medium", "high", "xhigh"]).nullish().openapi({
  description:
    "none does not think; minimal, low and medium close a thought after 256, 1,024 and 4,096 tokens; high and " +
    "xhigh leave it open. enable_thinking and thinking_budget, where they are given, count instead.",
});

/** What functions may be called. */
export const toolName = z.string().regex(/^[\w-]{1,64}$/, "expected 1 to 64 letters, digits, _ or -");

/** A JSON Schema that an answer is to be of. */
export const jsonSchema = {
  name: toolName,
  description: z.string().nullish(),
  schema: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
};

export const finishReason = z.enum(["stop", "length", "tool_calls"]);

export const usage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({ cached_tokens: z.int() }),
  completion_tokens_details: z.object({ reasoning_tokens: z.int() }),
}).openapi("Usage");

const chance = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) });
export const logprob = chance.extend({ top_logprobs: z.array(chance) });

export const ErrorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
}).openapi("Error");

export type Usage = z.infer<typeof usage>;
export type Logprob = z.infer<typeof logprob>;

/** The HTTP surface as zod schemas: the one source of validation, of types and of the OpenAPI document. */
import { z } from "@hono/zod-openapi";

// ---------------------------------------------------------------- requests

/** OpenAI's fields that cannot change the answer here: accepted and ignored. Every other unknown field is refused by name. */
const ignored = {
  user: z.unknown().optional(),
  metadata: z.unknown().optional(),
  store: z.unknown().optional(),
  service_tier: z.unknown().optional(),
  safety_identifier: z.unknown().optional(),
  prompt_cache_key: z.unknown().optional(),
  prompt_cache_retention: z.unknown().optional(),
};

const one = z.literal(1, "only 1 is supported").nullish();

const sampling = {
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

const text = z.string().min(1);

const generation = {
  model: z.string().nullish().openapi({ description: "The served model's name; may be left out." }),
  ...sampling,
  stop: z.union([text, z.array(text).max(16)], "expected a string or an array of strings").nullish(),
  n: one,
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({
    include_usage: z.boolean().nullish(),
    include_obfuscation: z.unknown().optional(),
  }).nullish(),
  ...ignored,
};

const textPart = z.strictObject({
  type: z.literal("text", "only text parts are supported"),
  text: z.string(),
});
const content = z.union([z.string(), z.array(textPart)], "expected a string or an array of text parts");

const toolCall = z.strictObject({
  id: z.string(),
  type: z.literal("function"),
  function: z.strictObject({ name: z.string(), arguments: z.string() }),
  index: z.int().optional(),
});

/** Fields that a client sends back when it repeats an assistant's message as it came. */
const echoed = {
  name: z.string().nullish(),
  refusal: z.null().optional(),
  audio: z.null().optional(),
  function_call: z.null().optional(),
  annotations: z.array(z.unknown()).max(0, "annotations are not supported").nullish(),
};

const message = z.discriminatedUnion("role", [
  z.strictObject({ role: z.enum(["system", "developer"]), content, name: z.string().nullish() }),
  z.strictObject({ role: z.literal("user"), content, name: z.string().nullish() }),
  z.strictObject({
    role: z.literal("assistant"),
    content: content.nullish(),
    reasoning_content: z.string().nullish(),
    tool_calls: z.array(toolCall).nullish(),
    ...echoed,
  }),
  z.strictObject({ role: z.literal("tool"), content, tool_call_id: z.string(), name: z.string().nullish() }),
], { error: "expected one of system, developer, user, assistant, tool" });

const tool = z.strictObject({
  type: z.literal("function", "only function tools are supported"),
  function: z.strictObject({
    name: z.string().regex(/^[\w-]{1,64}$/, "expected 1 to 64 letters, digits, _ or -"),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.literal(false, "strict schemas are not enforced: leave strict out or send false").nullish(),
  }),
});

const thinkingBudget = z.int().min(0).nullish();

export const ChatCompletionRequest = z.strictObject({
  messages: z.array(message).min(1),
  ...generation,
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: z.enum(["auto", "none"], 'only "auto" and "none" are supported').nullish(),
  parallel_tool_calls: z.literal(true, "only true is supported").nullish(),
  response_format: z.strictObject({ type: z.literal("text", 'only "text" is supported') }).nullish(),
  chat_template_kwargs: z.strictObject({
    enable_thinking: z.boolean().nullish(),
    thinking_budget: thinkingBudget,
  }).nullish(),
  thinking_budget: thinkingBudget.openapi({ description: "Tokens after which a thought is closed." }),
}).openapi("ChatCompletionRequest");

export const CompletionRequest = z.strictObject({
  prompt: z.string({
    error: (issue) => Array.isArray(issue.input) ? "only a single string is supported" : undefined,
  }).min(1),
  ...generation,
  max_tokens: z.int().min(1).nullish().openapi({ description: "16 if left out, as OpenAI has it." }),
  best_of: one,
  echo: z.literal(false, "only false is supported").nullish(),
}).openapi("CompletionRequest");

// ---------------------------------------------------------------- replies

const finishReason = z.enum(["stop", "length", "tool_calls"]);

const usage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  completion_tokens_details: z.object({ reasoning_tokens: z.int() }),
}).openapi("Usage");

const tokenLogprob = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) });
const logprobs = z.object({
  content: z.array(tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob) })),
  refusal: z.null(),
}).nullable().openapi("Logprobs", { description: "Of every generated token in order, those of the thought included." });

const replyToolCall = z.object({
  id: z.string(),
  type: z.literal("function"),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

export const ChatCompletion = z.object({
  id: z.string(),
  object: z.literal("chat.completion"),
  created: z.int(),
  model: z.string(),
  choices: z.array(z.object({
    index: z.int(),
    message: z.object({
      role: z.literal("assistant"),
      content: z.string().nullable(),
      reasoning_content: z.string().optional(),
      tool_calls: z.array(replyToolCall).optional(),
      refusal: z.null(),
    }),
    logprobs,
    finish_reason: finishReason,
  })),
  usage,
}).openapi("ChatCompletion");

export const ChatCompletionChunk = z.object({
  id: z.string(),
  object: z.literal("chat.completion.chunk"),
  created: z.int(),
  model: z.string(),
  choices: z.array(z.object({
    index: z.int(),
    delta: z.object({
      role: z.literal("assistant").optional(),
      content: z.string().optional(),
      reasoning_content: z.string().optional(),
      tool_calls: z.array(z.object({
        index: z.int(),
        id: z.string().optional(),
        type: z.literal("function").optional(),
        function: z.object({ name: z.string().optional(), arguments: z.string() }),
      })).optional(),
    }),
    logprobs,
    finish_reason: finishReason.nullable(),
  })),
  usage: usage.nullish(),
}).openapi("ChatCompletionChunk");

/** The reply and, streamed, each of its chunks. */
export const Completion = z.object({
  id: z.string(),
  object: z.literal("text_completion"),
  created: z.int(),
  model: z.string(),
  choices: z.array(z.object({
    index: z.int(),
    text: z.string(),
    logprobs: z.null(),
    finish_reason: finishReason.nullable(),
  })),
  usage: usage.nullish(),
}).openapi("Completion");

export const Model = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
}).openapi("Model");

export const ModelList = z.object({ object: z.literal("list"), data: z.array(Model) }).openapi("ModelList");

export const Health = z.object({ status: z.enum(["ok", "loading", "draining", "stopped"]) }).openapi("Health");

export const ErrorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
}).openapi("Error");

export type ChatCompletionRequest = z.infer<typeof ChatCompletionRequest>;
export type CompletionRequest = z.infer<typeof CompletionRequest>;
export type ChatCompletion = z.infer<typeof ChatCompletion>;
export type ChatCompletionChunk = z.infer<typeof ChatCompletionChunk>;
export type Completion = z.infer<typeof Completion>;
export type Usage = z.infer<typeof usage>;
export type Logprobs = z.infer<typeof logprobs>;

/** Chat completions: the one source of validation, of types and of the OpenAPI document. */
import { z } from "@hono/zod-openapi";
import {
  asParsed,
  effort,
  finishReason,
  generation,
  jsonSchema,
  logprob,
  thinking,
  toolName,
  topLogprobs,
  usage,
} from "./common.ts";

// ---------------------------------------------------------------- requests

const textPart = z.strictObject({
  type: z.literal("text", "only text parts are supported"),
  text: z.string(),
});
const content = z.union([z.string(), z.array(textPart)], "expected a string or an array of text parts");

const toolCall = z.strictObject({
  id: z.string(),
  type: z.literal("function"),
  function: z.strictObject({ name: z.string(), arguments: z.string(), parsed_arguments: asParsed }),
  index: z.int().optional(),
});

/** Fields that a client sends back when it repeats an assistant's message as it came. */
const echoed = {
  name: z.string().nullish(),
  refusal: z.null().optional(),
  audio: z.null().optional(),
  function_call: z.null().optional(),
  parsed: asParsed,
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
    name: toolName,
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});

const toolChoice = z.union([
  z.enum(["auto", "none", "required"]),
  z.strictObject({ type: z.literal("function"), function: z.strictObject({ name: z.string() }) }),
], 'expected "auto", "none", "required" or a function by its name');

const responseFormat = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text") }),
  z.strictObject({ type: z.literal("json_object") }),
  z.strictObject({
    type: z.literal("json_schema"),
    json_schema: z.strictObject({
      ...jsonSchema,
    }),
  }),
], { error: "expected one of text, json_object, json_schema" });

export const ChatCompletionRequest = z.strictObject({
  messages: z.array(message).min(1),
  ...generation,
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: topLogprobs,
  tools: z.array(tool).max(128).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: responseFormat.nullish(),
  reasoning_effort: effort,
  ...thinking,
}).refine(({ logprobs, top_logprobs }) => !top_logprobs || logprobs, {
  path: ["top_logprobs"],
  error: "it needs logprobs: true",
}).openapi("ChatCompletionRequest");

// ---------------------------------------------------------------- replies

const logprobs = z.object({
  content: z.array(logprob),
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

export type ChatCompletionRequest = z.infer<typeof ChatCompletionRequest>;
export type ChatCompletion = z.infer<typeof ChatCompletion>;
export type ChatCompletionChunk = z.infer<typeof ChatCompletionChunk>;
export type Logprobs = z.infer<typeof logprobs>;

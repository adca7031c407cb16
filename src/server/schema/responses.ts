/** Responses, the stateless part: the one source of validation, of types and of the OpenAPI document. */
import { z } from "@hono/zod-openapi";
import {
  asParsed,
  effort,
  ignored,
  jsonSchema,
  logprob,
  model,
  sampling,
  thinking,
  toolName,
  topLogprobs,
} from "./common.ts";

// ---------------------------------------------------------------- requests

const status = z.enum(["in_progress", "completed", "incomplete"]);

const textPart = z.strictObject({
  type: z.enum(["input_text", "output_text", "text"], "only text parts are supported"),
  text: z.string(),
  annotations: z.array(z.unknown()).nullish(),
  logprobs: z.unknown().optional(),
  parsed: asParsed,
});
const content = z.union([z.string(), z.array(textPart)], "expected a string or an array of text parts");

/** Fields of items that came from here and go back as they came. */
const returned = { id: z.string().nullish(), status: status.nullish() };

const message = z.strictObject({
  type: z.literal("message").optional(),
  role: z.enum(["user", "system", "developer", "assistant"], "expected one of user, system, developer, assistant"),
  content,
  ...returned,
});

const reasoning = z.strictObject({
  type: z.literal("reasoning"),
  summary: z.array(z.strictObject({ type: z.literal("summary_text"), text: z.string() })).nullish(),
  content: z.array(z.strictObject({ type: z.literal("reasoning_text"), text: z.string() })).nullish(),
  encrypted_content: z.null("there is none here").optional(),
  ...returned,
});

const functionCall = z.strictObject({
  type: z.literal("function_call"),
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
  parsed_arguments: asParsed,
  ...returned,
});

const functionOutput = z.strictObject({
  type: z.literal("function_call_output"),
  call_id: z.string(),
  output: content,
  ...returned,
});

const inputItem = z.discriminatedUnion("type", [message, reasoning, functionCall, functionOutput], {
  error: "expected one of message, reasoning, function_call, function_call_output",
});

const tool = z.strictObject({
  type: z.literal("function", "only function tools are supported"),
  name: toolName,
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
});

const toolChoice = z.union([
  z.enum(["auto", "none", "required"]),
  z.strictObject({ type: z.literal("function"), name: z.string() }),
], 'expected "auto", "none", "required" or a function by its name');

const format = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text") }),
  z.strictObject({ type: z.literal("json_object") }),
  z.strictObject({ type: z.literal("json_schema"), ...jsonSchema }),
], { error: "expected one of text, json_object, json_schema" });

const nothing = (why: string) => z.null(why).optional();

export const ResponseRequest = z.strictObject({
  input: z.union(
    [z.string().min(1), z.array(inputItem).min(1)],
    "expected a string or an array of items",
  ),
  instructions: z.string().nullish(),
  model,
  ...sampling,
  ...ignored,
  max_output_tokens: z.int().min(1).nullish(),
  top_logprobs: topLogprobs,
  include: z.array(z.literal("message.output_text.logprobs", "only message.output_text.logprobs is supported"))
    .nullish(),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z.strictObject({ format: format.nullish() }).nullish(),
  reasoning: z.strictObject({
    effort,
    summary: z.enum(["auto", "detailed"], "a thought is given as it is: only auto and detailed are supported")
      .nullish(),
  }).nullish(),
  ...thinking,
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_obfuscation: z.unknown().optional() }).nullish(),
  truncation: z.literal("disabled", 'only "disabled" is supported').nullish(),
  background: z.literal(false, "only false is supported").nullish(),
  store: z.literal(false, "nothing is stored here: leave store out or send false").nullish(),
  previous_response_id: nothing("nothing is stored here: send all items as input"),
  conversation: nothing("nothing is stored here: send all items as input"),
}).refine(({ include, top_logprobs }) => !top_logprobs || include?.length, {
  path: ["top_logprobs"],
  error: "it needs message.output_text.logprobs in include",
}).openapi("ResponseRequest");

// ---------------------------------------------------------------- replies

const outputText = z.object({
  type: z.literal("output_text"),
  text: z.string(),
  annotations: z.array(z.unknown()),
  logprobs: z.array(logprob),
});

const item = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("reasoning"),
    id: z.string(),
    status,
    summary: z.array(z.object({ type: z.literal("summary_text"), text: z.string() })),
    content: z.array(z.object({ type: z.literal("reasoning_text"), text: z.string() })).optional(),
  }),
  z.object({
    type: z.literal("message"),
    id: z.string(),
    status,
    role: z.literal("assistant"),
    content: z.array(outputText),
  }),
  z.object({
    type: z.literal("function_call"),
    id: z.string(),
    status,
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
]);

const usage = z.object({
  input_tokens: z.int(),
  input_tokens_details: z.object({ cached_tokens: z.int() }),
  output_tokens: z.int(),
  output_tokens_details: z.object({ reasoning_tokens: z.int() }),
  total_tokens: z.int(),
});

export const Response = z.object({
  id: z.string(),
  object: z.literal("response"),
  created_at: z.int(),
  model: z.string(),
  status,
  error: z.null(),
  incomplete_details: z.object({ reason: z.literal("max_output_tokens") }).nullable(),
  output: z.array(item),
  usage: usage.nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  temperature: z.number(),
  top_p: z.number(),
  top_logprobs: z.int(),
  tools: z.array(z.unknown()),
  tool_choice: z.unknown(),
  parallel_tool_calls: z.boolean(),
  text: z.unknown(),
  reasoning: z.object({ effort: z.string().nullable(), summary: z.string().nullable() }),
  truncation: z.literal("disabled"),
  metadata: z.unknown(),
  background: z.literal(false),
  store: z.literal(false),
  previous_response_id: z.null(),
}).openapi("Response");

/** One event of a stream; which other fields there are, its type says. */
export const ResponseEvent = z.looseObject({ type: z.string(), sequence_number: z.int() }).openapi("ResponseEvent");

export type ResponseRequest = z.infer<typeof ResponseRequest>;
export type Response = z.infer<typeof Response>;
export type ResponseItem = z.infer<typeof item>;

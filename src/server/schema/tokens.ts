/** Texts as token ids and back, in vLLM's shapes. */
import { z } from "@hono/zod-openapi";
import { ChatCompletionRequest } from "./chat.ts";
import { model, tokenIds } from "./common.ts";

/** No special token is ever added, so it makes no difference. */
const addSpecial = z.boolean().nullish().openapi({ description: "There are none to add: both mean the same." });

const { messages, tools, chat_template_kwargs } = ChatCompletionRequest.shape;

export const TokenizeRequest = z.union([
  z.strictObject({ prompt: z.string(), model, add_special_tokens: addSpecial }),
  z.strictObject({
    messages,
    model,
    tools,
    chat_template_kwargs,
    add_generation_prompt: z.literal(true, "only true is supported").nullish(),
    add_special_tokens: addSpecial,
  }),
]).openapi("TokenizeRequest", { description: "What a completion of this prompt, or a chat of these messages, reads." });

export const TokenizeResponse = z.object({
  count: z.int(),
  max_model_len: z.int(),
  tokens: z.array(z.int()),
}).openapi("TokenizeResponse");

export const DetokenizeRequest = z.strictObject({ tokens: tokenIds, model }).openapi("DetokenizeRequest");

export const DetokenizeResponse = z.object({ prompt: z.string() }).openapi("DetokenizeResponse");

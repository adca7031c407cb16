/** Texts as token ids and back. */
import type { z } from "@hono/zod-openapi";
import { RequestError } from "../chat/request_error.ts";
import { given, toThinking } from "./requests/options.ts";
import { toMessage, toTool } from "./requests/chat.ts";
import type { TokenizeRequest, TokenizeResponse } from "./schema/tokens.ts";
import type { ServedModel } from "./served.ts";

/** What the model would read of a raw prompt or of a conversation. */
export function tokenize(model: ServedModel, body: z.infer<typeof TokenizeRequest>): z.infer<typeof TokenizeResponse> {
  const tokens = "prompt" in body ? tokenizerOf(model).encode(body.prompt) : model.promptTokens({
    messages: body.messages.map(toMessage),
    ...given("tools", body.tools?.map(toTool)),
    ...toThinking(body, null),
  });
  return { count: tokens.length, max_model_len: model.info.context, tokens: [...tokens] };
}

/** The text of tokens, special ones as they are spelled. */
export function detokenize(model: ServedModel, tokens: readonly number[]): { readonly prompt: string } {
  return { prompt: tokenizerOf(model).decode(tokens) };
}

function tokenizerOf({ tokenizer }: ServedModel): NonNullable<ServedModel["tokenizer"]> {
  if (tokenizer) return tokenizer;
  throw new RequestError("Cannot read text with this model, which has no tokenizer.json", "prompt");
}

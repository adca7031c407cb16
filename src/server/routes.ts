/** The routes as the OpenAPI document describes them. */
import { createRoute, z } from "@hono/zod-openapi";
import { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest } from "./schema/chat.ts";
import { ErrorBody } from "./schema/common.ts";
import { Completion, CompletionRequest } from "./schema/completions.ts";
import { Response, ResponseEvent, ResponseRequest } from "./schema/responses.ts";
import { Health, Model, ModelList } from "./schema/service.ts";
import { DetokenizeRequest, DetokenizeResponse, TokenizeRequest, TokenizeResponse } from "./schema/tokens.ts";

const json = <T extends z.ZodType>(description: string, body: T) => ({
  description,
  content: { "application/json": { schema: body } },
});

const error = (description: string) => json(description, ErrorBody);

const failures = {
  400: error("The request is invalid; `param` names the field"),
  401: error("The API key is missing or wrong"),
  404: error("The model is not served here"),
  408: error("The body did not come in time"),
  413: error("The body is too large"),
  415: error("The body is not JSON"),
  429: error("Too many requests wait already; Retry-After says when to come again"),
  500: error("The model failed"),
  503: error("The model is still being loaded, or the server is stopping"),
  504: error("The answer took longer than the server allows"),
};

/** A POST that answers with `whole`, or with events of `chunk` if the request says `stream`. */
function generation<P extends string, B extends z.ZodType, W extends z.ZodType>(
  path: P,
  summary: string,
  { request, whole, chunk }: { request: B; whole: W; chunk: z.ZodType },
) {
  return createRoute({
    method: "post",
    path,
    summary,
    request: { body: { required: true, content: { "application/json": { schema: request } } } },
    responses: {
      200: {
        description: "The answer; as server-sent events if `stream` is true",
        content: { "application/json": { schema: whole }, "text/event-stream": { schema: chunk } },
      },
      ...failures,
    },
  });
}

export const chatCompletions = generation("/v1/chat/completions", "Answers a conversation", {
  request: ChatCompletionRequest,
  whole: ChatCompletion,
  chunk: ChatCompletionChunk,
});

export const completions = generation("/v1/completions", "Continues texts", {
  request: CompletionRequest,
  whole: Completion,
  chunk: Completion,
});

export const responses = generation("/v1/responses", "Answers a conversation, item by item, without storing it", {
  request: ResponseRequest,
  whole: Response,
  chunk: ResponseEvent,
});

/** A POST that translates between texts and token ids. */
function translation<P extends string, B extends z.ZodType, R extends z.ZodType>(
  path: P,
  summary: string,
  { request, reply }: { request: B; reply: R },
) {
  return createRoute({
    method: "post",
    path,
    summary,
    request: { body: { required: true, content: { "application/json": { schema: request } } } },
    responses: { 200: json("The translation", reply), ...failures },
  });
}

export const tokenize = translation("/tokenize", "Tells the tokens of a prompt or of a conversation", {
  request: TokenizeRequest,
  reply: TokenizeResponse,
});

export const detokenize = translation("/detokenize", "Tells the text of tokens", {
  request: DetokenizeRequest,
  reply: DetokenizeResponse,
});

export const models = createRoute({
  method: "get",
  path: "/v1/models",
  summary: "Lists the model served",
  responses: { 200: json("The one model", ModelList), 401: failures[401] },
});

export const model = createRoute({
  method: "get",
  path: "/v1/models/{id}",
  summary: "Describes the model served",
  request: { params: z.object({ id: z.string() }) },
  responses: { 200: json("The model", Model), 401: failures[401], 404: failures[404] },
});

export const health = createRoute({
  method: "get",
  path: "/health",
  summary: "Tells whether requests are answered",
  responses: {
    200: json("They are", Health),
    503: json("The model is still being loaded or has stopped for good, or the server is stopping", Health),
  },
});

export const live = createRoute({
  method: "get",
  path: "/health/live",
  summary: "Tells whether the server need not be started anew",
  responses: {
    200: json("It works, or will once the model is loaded", Health),
    503: json("The model has stopped for good", Health),
  },
});

export const metrics = createRoute({
  method: "get",
  path: "/metrics",
  summary: "Gives figures to Prometheus",
  responses: { 200: { description: "In its text format", content: { "text/plain": { schema: z.string() } } } },
});

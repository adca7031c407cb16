/** The routes as the OpenAPI document describes them. */
import { createRoute, z } from "@hono/zod-openapi";
import * as schema from "./schema.ts";

const json = <T extends z.ZodType>(description: string, body: T) => ({
  description,
  content: { "application/json": { schema: body } },
});

const error = (description: string) => json(description, schema.ErrorBody);

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
        description: "The answer; as server-sent events, up to `[DONE]`, if `stream` is true",
        content: { "application/json": { schema: whole }, "text/event-stream": { schema: chunk } },
      },
      ...failures,
    },
  });
}

export const chatCompletions = generation("/v1/chat/completions", "Answers a conversation", {
  request: schema.ChatCompletionRequest,
  whole: schema.ChatCompletion,
  chunk: schema.ChatCompletionChunk,
});

export const completions = generation("/v1/completions", "Continues a text", {
  request: schema.CompletionRequest,
  whole: schema.Completion,
  chunk: schema.Completion,
});

export const models = createRoute({
  method: "get",
  path: "/v1/models",
  summary: "Lists the model served",
  responses: { 200: json("The one model", schema.ModelList), 401: failures[401] },
});

export const model = createRoute({
  method: "get",
  path: "/v1/models/{id}",
  summary: "Describes the model served",
  request: { params: z.object({ id: z.string() }) },
  responses: { 200: json("The model", schema.Model), 401: failures[401], 404: failures[404] },
});

export const health = createRoute({
  method: "get",
  path: "/health",
  summary: "Tells whether requests are answered",
  responses: {
    200: json("They are", schema.Health),
    503: json("The model is still being loaded or has stopped for good, or the server is stopping", schema.Health),
  },
});

export const live = createRoute({
  method: "get",
  path: "/health/live",
  summary: "Tells whether the server need not be started anew",
  responses: {
    200: json("It works, or will once the model is loaded", schema.Health),
    503: json("The model has stopped for good", schema.Health),
  },
});

export const metrics = createRoute({
  method: "get",
  path: "/metrics",
  summary: "Gives figures to Prometheus",
  responses: { 200: { description: "In its text format", content: { "text/plain": { schema: z.string() } } } },
});

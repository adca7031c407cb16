/** What each route does: a request becomes generations, their deltas the reply. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { answer } from "./answer.ts";
import { dataFraming, typedFraming } from "./framing.ts";
import { chatChunks, chatCompletion } from "./replies/chat.ts";
import { completion, completionChunks } from "./replies/completions.ts";
import { response, responseEvents } from "./replies/responses.ts";
import type { Env } from "./request_log.ts";
import { toChatRequests } from "./requests/chat.ts";
import { toCompletionRequests } from "./requests/completions.ts";
import { toChatRequest } from "./requests/responses.ts";
import { detokenize, tokenize } from "./tokens.ts";
import * as routes from "./routes.ts";
import type { Served } from "./served.ts";

type App = OpenAPIHono<Env>;

export function mount(app: App, served: Served): void {
  describe(app, served);
  generate(app, served);
  app.openapi(routes.tokenize, (context) => {
    const body = context.req.valid("json");
    return context.json(tokenize(served.get(body.model), body), 200);
  });
  app.openapi(routes.detokenize, (context) => {
    const body = context.req.valid("json");
    return context.json(detokenize(served.get(body.model), body.tokens), 200);
  });
}

function describe(app: App, served: Served): void {
  app.openapi(routes.health, (context) => {
    const { health } = served;
    return health.status === "ok" ? context.json(health, 200) : context.json(health, 503);
  });
  app.openapi(routes.live, (context) => {
    const { health } = served;
    return context.json(health, health.status === "stopped" ? 503 : 200);
  });
  app.openapi(
    routes.models,
    (context) => context.json({ object: "list" as const, data: [served.describe(null)] }, 200),
  );
  app.openapi(routes.model, (context) => context.json(served.describe(context.req.valid("param").id), 200));
}

function generate(app: App, served: Served): void {
  app.openapi(routes.chatCompletions, (context) => {
    const body = context.req.valid("json");
    const model = served.get(body.model);
    const head = served.head("chatcmpl-");
    return answer(context, body.stream ?? false, {
      starts: toChatRequests(body).map((request) => (signal) => model.stream(request, signal)),
      most: model.info.slots,
      whole: (deltas) => chatCompletion(head, deltas),
      events: (deltas) => chatChunks(head, deltas, body.n ?? 1, body.stream_options?.include_usage ?? false),
      framing: dataFraming,
    });
  });

  app.openapi(routes.completions, (context) => {
    const body = context.req.valid("json");
    const model = served.get(body.model);
    const head = served.head("cmpl-");
    const n = body.n ?? 1;
    return answer(context, body.stream ?? false, {
      starts: toCompletionRequests(body).map((request) => (signal) => model.complete(request, signal)),
      most: model.info.slots,
      whole: (deltas) => completion(head, deltas, n),
      events: (deltas) => completionChunks(head, deltas, n, body.stream_options?.include_usage ?? false),
      framing: dataFraming,
    });
  });

  app.openapi(routes.responses, (context) => {
    const body = context.req.valid("json");
    const model = served.get(body.model);
    const request = toChatRequest(body);
    const head = served.head("resp_");
    return answer(context, body.stream ?? false, {
      starts: [(signal) => model.stream(request, signal)],
      most: 1,
      whole: (deltas) => response(head, body, deltas),
      events: (deltas) => responseEvents(head, body, deltas),
      framing: typedFraming(),
    });
  });
}

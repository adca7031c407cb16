/** The OpenAI-compatible HTTP API as a function from request to response. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import { methodNotAllowed } from "hono/method-not-allowed";
import { timingSafeEqual } from "hono/utils/buffer";
import project from "../../deno.json" with { type: "json" };
import { answer } from "./answer.ts";
import { jsonBody } from "./body.ts";
import { ApiError, invalid, toApiError } from "./errors.ts";
import { servePage } from "./page.ts";
import { chatChunks, chatCompletion, completion, completionChunks } from "./replies.ts";
import { type Env, type Log, logRequests } from "./request_log.ts";
import { toChatRequest, toCompletionRequest } from "./requests.ts";
import * as routes from "./routes.ts";
import { Served, type ServedModel } from "./served.ts";

export interface AppOptions {
  /** The name under which the model is served. */
  readonly name: string;
  /** The model, or null until it is warm. */
  readonly model: () => ServedModel | null;
  /** Asked of every request below /v1, if set. */
  readonly apiKey?: string | undefined;
  /** Origin whose pages may call; none by default. */
  readonly corsOrigin?: string | undefined;
  /** 4 MiB by default. */
  readonly maxBodyBytes?: number;
  readonly log?: Log;
}

type App = OpenAPIHono<Env>;

export function createApp(options: AppOptions): App {
  const app: App = new OpenAPIHono<Env>({
    defaultHook: async (result, context) => {
      if (!result.success) throw invalid(result.error, await context.req.json());
    },
  });
  guard(app, options);
  mount(app, new Served(options.name, options.model));
  app.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: { title: "Ringlet", version: project.version, description: "An OpenAI-compatible API" },
  });
  servePage(app);
  app.notFound((context) =>
    fail(context, new ApiError(404, `Unknown URL: ${place(context)}`, { code: "unknown_url" }))
  );
  app.onError((error, context) => {
    const known = toApiError(error);
    if (known.status === 500) context.get("logged").error = error;
    return fail(context, known);
  });
  return app;
}

/** What every request passes before its route. */
function guard(app: App, { apiKey, corsOrigin, maxBodyBytes = 4 << 20, log = () => {} }: AppOptions): void {
  app.use(logRequests(log));
  if (corsOrigin !== undefined) app.use(cors({ origin: corsOrigin, exposeHeaders: ["x-request-id"] }));
  app.use(methodNotAllowed({
    app,
    onMethodNotAllowed: (context, methods) => {
      context.header("allow", methods.join(", "));
      return fail(context, new ApiError(405, `Cannot ${place(context)}: use ${methods.join(" or ")}`));
    },
  }));
  if (apiKey !== undefined) app.use("/v1/*", bearer(apiKey));
  app.on("POST", [routes.chatCompletions.path, routes.completions.path], jsonBody(maxBodyBytes));
}

function mount(app: App, served: Served): void {
  app.openapi(routes.health, (context) => {
    const { status } = served;
    return status === "ok" ? context.json({ status }, 200) : context.json({ status }, 503);
  });
  app.openapi(
    routes.models,
    (context) => context.json({ object: "list" as const, data: [served.describe(null)] }, 200),
  );
  app.openapi(routes.model, (context) => context.json(served.describe(context.req.valid("param").id), 200));

  app.openapi(routes.chatCompletions, (context) => {
    const body = context.req.valid("json");
    const model = served.get(body.model);
    const request = toChatRequest(body);
    const head = served.head("chatcmpl");
    return answer(context, body.stream ?? false, {
      deltas: (signal) => model.stream(request, signal),
      whole: (reply) => chatCompletion(head, reply),
      chunks: (deltas) => chatChunks(head, deltas, body.stream_options?.include_usage ?? false),
    });
  });

  app.openapi(routes.completions, (context) => {
    const body = context.req.valid("json");
    const model = served.get(body.model);
    const request = toCompletionRequest(body);
    const head = served.head("cmpl");
    return answer(context, body.stream ?? false, {
      deltas: (signal) => model.complete(request, signal),
      whole: (reply) => completion(head, reply),
      chunks: (deltas) => completionChunks(head, deltas, body.stream_options?.include_usage ?? false),
    });
  });
}

const bearer = (key: string) =>
  createMiddleware(async (context, next) => {
    const token = /^bearer +(.+)$/i.exec(context.req.header("authorization") ?? "")?.[1];
    if (token !== undefined && await timingSafeEqual(token, key)) return next();
    context.header("www-authenticate", "Bearer");
    const message = token === undefined ? "Missing API key: send Authorization: Bearer KEY" : "Incorrect API key";
    throw new ApiError(401, message, { code: "invalid_api_key" });
  });

function fail(context: Context, error: ApiError): Response {
  return context.json(error.body, error.status);
}

function place({ req }: Context): string {
  return `${req.method} ${req.path.slice(0, 200)}`;
}

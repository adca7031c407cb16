/** The OpenAI-compatible HTTP API as a function from request to response. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import { methodNotAllowed } from "hono/method-not-allowed";
import { timingSafeEqual } from "hono/utils/buffer";
import project from "../../deno.json" with { type: "json" };
import { jsonBody } from "./body.ts";
import { mount } from "./endpoints.ts";
import { ApiError, invalid, toApiError } from "./errors.ts";
import { type Env, type Log, logRequests } from "./request_log.ts";
import * as routes from "./routes.ts";
import { Served, type ServedModel } from "./served.ts";

export interface AppOptions {
  /** The name under which the model is served. */
  readonly name: string;
  /** The name of the model's folder, under which it may be asked for as well; the other one if left out. */
  readonly root?: string;
  /** The model, or null until it is warm. */
  readonly model: () => ServedModel | null;
  /** Asked of every request below /v1 and of those that tell tokens, if set. */
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
  mount(app, new Served(options.name, options.model, options.root));
  app.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: { title: "Ringlet", version: project.version, description: "An OpenAI-compatible API" },
  });
  app.notFound((context) =>
    fail(context, new ApiError(404, `Unknown URL: ${place(context)}`, { code: "unknown_url" }))
  );
  app.onError((error, context) => {
    const known = toApiError(error, context.req.path);
    if (known.status === 500) context.get("logged").error = error;
    return fail(context, known);
  });
  return app;
}

/** Routes that take a body. */
const BODIES = [routes.chatCompletions, routes.completions, routes.responses, routes.tokenize, routes.detokenize];

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
  if (apiKey !== undefined) {
    for (const path of ["/v1/*", routes.tokenize.path, routes.detokenize.path]) app.use(path, bearer(apiKey));
  }
  app.on("POST", BODIES.map(({ path }) => path), jsonBody(maxBodyBytes));
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

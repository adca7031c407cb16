/** The OpenAI-compatible HTTP API as a function from request to response. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import project from "../../deno.json" with { type: "json" };
import { jsonBody } from "./body.ts";
import { mount } from "./endpoints.ts";
import { ApiError, invalid, toApiError } from "./errors.ts";
import { allowOrigin, secureReplies, withTraffic } from "./guard.ts";
import { requireKey } from "./keys.ts";
import { Metrics } from "./metrics.ts";
import { servePage } from "./page.ts";
import { type Env, type Log, type LogEntry, logRequests } from "./request_log.ts";
import * as routes from "./routes.ts";
import { Served, type ServedModel } from "./served.ts";
import { Traffic } from "./traffic.ts";

export interface AppOptions {
  /** The name under which the model is served. */
  readonly name: string;
  /** The name of the model's folder, under which it may be asked for as well; the other one if left out. */
  readonly root?: string;
  /** The model, or null until it is warm. */
  readonly model: () => ServedModel | null;
  /** In one sentence what it waits for, where others compute; null while nothing is missing. */
  readonly waiting?: () => string | null;
  /** One of them is asked of whoever uses the model, if there are any. */
  readonly apiKeys?: readonly string[];
  /** Origin whose pages may call; none by default. */
  readonly corsOrigin?: string | undefined;
  /** 4 MiB by default. */
  readonly maxBodyBytes?: number;
  readonly log?: Log;
  /** What limits the answers and is drained by whoever stops the server. */
  readonly traffic?: Traffic;
}

type App = OpenAPIHono<Env>;

export function createApp(options: AppOptions): App {
  const app: App = new OpenAPIHono<Env>({
    defaultHook: async (result, context) => {
      if (!result.success) throw invalid(result.error, await context.req.json());
    },
  });
  const { traffic = new Traffic(), log = () => {} } = options;
  const metrics = new Metrics(options.model);
  const record = (entry: LogEntry) => {
    metrics.record(entry);
    log(entry);
  };
  guard(app, { ...options, traffic, log: record });
  mount(app, new Served({ ...options, traffic }));
  app.openapi(
    routes.metrics,
    async (context) => context.text(await metrics.text(), 200, { "content-type": metrics.contentType }),
  );
  app.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: { title: "Ringlet", version: project.version, description: "An OpenAI-compatible API" },
  });
  servePage(app);
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
function guard(
  app: App,
  { apiKeys = [], corsOrigin, maxBodyBytes = 4 << 20, log, traffic }: AppOptions & { log: Log; traffic: Traffic },
): void {
  app.use(logRequests(log), withTraffic(traffic), secureReplies);
  if (corsOrigin !== undefined) app.use(allowOrigin(corsOrigin));
  app.use(methodNotAllowed({
    app,
    onMethodNotAllowed: (context, methods) => {
      context.header("allow", methods.join(", "));
      return fail(context, new ApiError(405, `Cannot ${place(context)}: use ${methods.join(" or ")}`));
    },
  }));
  if (apiKeys.length > 0) app.use(requireKey(apiKeys));
  app.on("POST", BODIES.map(({ path }) => path), jsonBody(maxBodyBytes, traffic.times.body));
}

function fail(context: Context, error: ApiError): Response {
  return context.json(error.body, error.status, error.headers);
}

function place({ req }: Context): string {
  return `${req.method} ${req.path.slice(0, 200)}`;
}

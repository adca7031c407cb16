/** What every request passes before its route, and every reply after it. */
import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import type { Env } from "./request_log.ts";
import type { Traffic } from "./traffic.ts";

/** Of every reply that does not say otherwise: it is data, to be shown by no page and run by nobody. */
const SECURITY_HEADERS = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

export const secureReplies = createMiddleware(async (context, next) => {
  await next();
  const { headers } = context.res;
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) if (!headers.has(name)) headers.set(name, value);
});

/** Lets the pages of one origin call, `*` for all. */
export const allowOrigin = (origin: string) => cors({ origin, exposeHeaders: ["x-request-id", "retry-after"] });

export const withTraffic = (traffic: Traffic) =>
  createMiddleware<Env>((context, next) => {
    context.set("traffic", traffic);
    return next();
  });

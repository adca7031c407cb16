/** Refuses bodies that are not JSON of reasonable size and depth, before anything looks into them. */
import { bodyLimit } from "hono/body-limit";
import { every } from "hono/combine";
import { createMiddleware } from "hono/factory";
import { ApiError } from "./errors.ts";

/** Deeper than any real tool's schema, far from the depth at which recursion over it could fail. */
const MAX_DEPTH = 64;

/** Answers 413, 415 or 400; what passes is UTF-8 JSON. */
export function jsonBody(maxBytes: number) {
  const tooLarge = () => {
    throw new ApiError(413, `Cannot read a request of more than ${maxBytes} bytes: shorten it`, {
      code: "request_too_large",
    });
  };
  return every(bodyLimit({ maxSize: maxBytes, onError: tooLarge }), wellFormed);
}

const wellFormed = createMiddleware(async (context, next) => {
  const type = context.req.header("content-type")?.split(";")[0]?.trim() ?? "";
  if (type.toLowerCase() !== "application/json") {
    throw new ApiError(415, `Cannot read a body of type ${type || "unknown"}: send Content-Type: application/json`);
  }
  const value = parse(await context.req.arrayBuffer());
  if (depth(value) > MAX_DEPTH) {
    throw new ApiError(400, `Cannot read the request: it is nested more than ${MAX_DEPTH} levels deep`);
  }
  await next();
});

function parse(bytes: ArrayBuffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const reason = error instanceof SyntaxError ? `not JSON: ${error.message}` : "not UTF-8";
    throw new ApiError(400, `Cannot read the request: its body is ${reason}`);
  }
}

/** Levels of nesting, counted up to just past the limit. */
function depth(value: unknown, level = 0): number {
  if (typeof value !== "object" || value === null || level > MAX_DEPTH) return level;
  return Object.values(value).reduce<number>((most, inner) => Math.max(most, depth(inner, level + 1)), level + 1);
}

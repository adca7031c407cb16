/** Refuses bodies that are not JSON of reasonable size and depth, before anything looks into them. */
import { createMiddleware } from "hono/factory";
import { ApiError } from "./errors.ts";
import { within } from "./event_body.ts";
import type { Env } from "./request_log.ts";

/** Deeper than any real tool's schema, far from the depth at which recursion over it could fail. */
const MAX_DEPTH = 64;

/** Answers 408, 413, 415 or 400; what passes is UTF-8 JSON, which came within `millis`. */
export const jsonBody = (maxBytes: number, millis: number) =>
  createMiddleware<Env>(async (context, next) => {
    const { req } = context;
    const type = req.header("content-type")?.split(";")[0]?.trim() ?? "";
    if (type.toLowerCase() !== "application/json") {
      throw new ApiError(415, `Cannot read a body of type ${type || "unknown"}: send Content-Type: application/json`);
    }
    if (Number(req.header("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
    const bytes = await read(req.raw, maxBytes, millis).catch((error) => {
      if (error instanceof ApiError) throw error;
      context.get("logged").close(499);
      throw new ApiError(400, "Cannot read the request: its body broke off");
    });
    if (depth(parse(bytes)) > MAX_DEPTH) {
      throw new ApiError(400, `Cannot read the request: it is nested more than ${MAX_DEPTH} levels deep`);
    }
    req.raw = new Request(req.raw, { body: bytes });
    await next();
  });

/** The whole body, unless it is too large or too slow. */
async function read({ body }: Request, maxBytes: number, millis: number): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = body?.getReader();
  const all = (async () => {
    for (;;) {
      const part = await reader?.read();
      if (!part || part.done) return "read";
      size += part.value.length;
      if (size > maxBytes) return "too large";
      parts.push(part.value);
    }
  })();
  const outcome = await within(all, millis);
  if (outcome === "read") return new Uint8Array(await new Blob(parts).arrayBuffer());
  await reader?.cancel();
  throw outcome ? tooLarge(maxBytes) : new ApiError(408, `The request's body did not come within ${millis / 1000} s`);
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(413, `Cannot read a request of more than ${maxBytes} bytes: shorten it`, {
    code: "request_too_large",
  });
}

function parse(bytes: Uint8Array): unknown {
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

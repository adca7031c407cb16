/** Who may use the server: whoever shows one of its keys. */
import { createHash, timingSafeEqual } from "node:crypto";
import { createMiddleware } from "hono/factory";
import { ApiError } from "./errors.ts";

/**
 * Asks for a key below /v1 and for every POST. All else is public: the page, the API's description, health and metrics, which tell
 * nothing of what was asked.
 */
export function requireKey(keys: readonly string[]) {
  const digests = keys.map(digest);
  return createMiddleware((context, next) => {
    const { req } = context;
    if (req.method !== "POST" && !req.path.startsWith("/v1/")) return next();
    const token = /^bearer +(.+)$/i.exec(req.header("authorization") ?? "")?.[1]?.trim();
    if (token !== undefined && isOneOf(digests, digest(token))) return next();
    context.header("www-authenticate", "Bearer");
    const message = token === undefined ? "Missing API key: send Authorization: Bearer KEY" : "Incorrect API key";
    throw new ApiError(401, message, { code: "invalid_api_key" });
  });
}

/** Takes the same time whichever key it is, and however much of it is right. */
function isOneOf(digests: readonly Uint8Array[], given: Uint8Array): boolean {
  return digests.reduce((found, known) => timingSafeEqual(known, given) || found, false);
}

function digest(key: string): Uint8Array {
  return createHash("sha256").update(key).digest();
}

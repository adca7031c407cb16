/** The chat page at `/` and the API's at `/docs`; their scripts, styles and icon are below `/assets`. All is part of the program. */
import { etag, RETAINED_304_HEADERS } from "hono/etag";
import type { Hono } from "hono";
import docsScript from "../../web/built/docs.js" with { type: "text" };
import script from "../../web/built/page.js" with { type: "text" };
import styles from "../../web/built/page.css" with { type: "text" };
import docs from "../../web/docs.html" with { type: "text" };
import icon from "../../web/icon.svg" with { type: "text" };
import page from "../../web/page.html" with { type: "text" };
import type { Env } from "./request_log.ts";

/** Everything comes from this server, and nothing that stands in an answer can run. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const files = {
  "/": { text: page, type: "text/html" },
  "/docs": { text: docs, type: "text/html" },
  "/assets/docs.js": { text: docsScript, type: "text/javascript" },
  "/assets/page.js": { text: script, type: "text/javascript" },
  "/assets/page.css": { text: styles, type: "text/css" },
  "/assets/icon.svg": { text: icon, type: "image/svg+xml" },
};

/** An answer 304 repeats the policy: a browser would go on with any other one that was set on it. */
const tagged = etag({ retainedHeaders: [...RETAINED_304_HEADERS, "content-security-policy"] });

/** A browser keeps the files, and asks each time whether they have changed. */
export function servePage(app: Hono<Env>): void {
  for (const [path, { text, type }] of Object.entries(files)) {
    app.get(path, tagged, (context) =>
      context.body(text, 200, {
        "content-type": `${type}; charset=utf-8`,
        "cache-control": "no-cache",
        "content-security-policy": POLICY,
      }));
  }
}

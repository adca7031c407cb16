import assert from "node:assert/strict";
import { failureInStream, failureOf } from "../../web/api/failure.ts";

const of = (status: number, error: object = {}, headers: HeadersInit = {}) =>
  failureOf(Response.json({ error }, { status, headers }), false);

Deno.test("failureOf() tells what a status means to the person who waits", async () => {
  assert.equal((await of(401)).kind, "locked");
  assert.deepEqual(await of(429, {}, { "retry-after": "3" }), {
    kind: "busy",
    message: "The server is busy with other requests.",
    retryAfter: 3,
  });
  assert.equal((await of(429, {}, { "retry-after": "soon" })).retryAfter, undefined);
  assert.equal((await of(503, { code: "loading" })).kind, "loading");
  assert.equal((await of(503, { message: "Stopped" })).message, "Stopped");
  assert.equal((await of(413)).kind, "too_long");
  assert.equal((await of(400, { code: "context_length_exceeded" })).kind, "too_long");
  assert.equal((await of(400, { param: "messages", message: "the context holds 8" })).kind, "too_long");
  assert.deepEqual(await of(400, { param: "seed", message: "Invalid seed" }), {
    kind: "other",
    message: "Invalid seed",
  });
});

Deno.test("failureOf() needs no body", async () => {
  const failure = await failureOf(new Response("<html>", { status: 502 }), false);
  assert.deepEqual(failure, { kind: "other", message: "The server failed with status 502." });
});

Deno.test("failureInStream() repeats what the server says", () => {
  assert.equal(failureInStream({ error: { message: "It broke" } }).message, "It broke");
  assert.match(failureInStream({}).message, /broke before/);
  assert.equal(failureInStream({ error: { type: "rate_limit_error" } }).kind, "busy");
  assert.equal(failureInStream({ error: { param: "messages", message: "the context holds 8" } }).kind, "too_long");
});

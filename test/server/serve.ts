/** A server with a scripted model, asked without a socket. */
import assert from "node:assert/strict";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import type { LogEntry } from "../../src/server/request_log.ts";
import { content, finish, type Script, ScriptedModel } from "./scripted_model.ts";

export const hello: Script = [{ type: "reasoning", text: "hm" }, content("Hel"), content("lo"), finish];
export const question = { messages: [{ role: "user", content: "Hi" }] };

export function serve(script: Script | ((question: string) => Script) = hello, options: Partial<AppOptions> = {}) {
  const model = new ScriptedModel(script);
  const entries: LogEntry[] = [];
  const app = createApp({ name: "nano", model: () => model, log: (entry) => entries.push(entry), ...options });
  const post = (path: string, body: unknown, init: RequestInit = {}) =>
    app.request(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...init.headers as Record<string, string> },
      body: typeof body === "string" || body instanceof Uint8Array ? body as BodyInit : JSON.stringify(body),
      ...(init.signal ? { signal: init.signal } : {}),
    });
  const ask = (body: unknown, init?: RequestInit) => post("/v1/chat/completions", body, init);
  return { app, model, entries, post, ask };
}

/** The parsed data of each event. */
export async function events(response: Response) {
  const text = await response.text();
  assert.ok(text.endsWith("\n\n"));
  return text.slice(0, -2).split("\n\n").map((event) => {
    assert.ok(event.startsWith("data: "), event);
    const data = event.slice("data: ".length);
    return data === "[DONE]" ? data : JSON.parse(data);
  });
}

/** Asserts status and OpenAI's error body, and returns what is in it. */
export async function refused(response: Response, status: number) {
  assert.equal(response.status, status);
  const { error } = await response.json();
  assert.deepEqual(Object.keys(error), ["message", "type", "param", "code"]);
  return error;
}

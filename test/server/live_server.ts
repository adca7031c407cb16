/** A server with a scripted model on a real port, and clients that speak to it byte by byte. */
import type { Delta } from "../../src/chat/messages.ts";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import { listen } from "../../src/server/listen.ts";
import type { LogEntry } from "../../src/server/request_log.ts";
import { Traffic } from "../../src/server/traffic.ts";
import { type Script, ScriptedModel } from "./scripted_model.ts";

export interface LiveServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly model: ScriptedModel;
  readonly traffic: Traffic;
  readonly entries: LogEntry[];
}

export async function serveLive(
  script: ConstructorParameters<typeof ScriptedModel>[0],
  options: Partial<AppOptions> = {},
): Promise<LiveServer> {
  const model = new ScriptedModel(script);
  const traffic = options.traffic ?? new Traffic();
  const entries: LogEntry[] = [];
  const log = (entry: LogEntry) => entries.push(entry);
  const app = createApp({ name: "nano", model: () => model, log, traffic, ...options });
  const listener = await listen("127.0.0.1", 0, traffic.times, (request) => app.fetch(request));
  const { port } = listener;
  const close = () => listener[Symbol.asyncDispose]();
  return { port, url: `http://127.0.0.1:${port}`, model, traffic, entries, [Symbol.asyncDispose]: close };
}

/** A chat request, as JSON. */
export function chatBody(stream: boolean, content = "Hi"): string {
  return JSON.stringify({ messages: [{ role: "user", content }], stream });
}

/** Sends a chat request by fetch(). */
export function ask(url: string, stream: boolean, init: RequestInit = {}): Promise<Response> {
  const headers = { "content-type": "application/json", ...init.headers as Record<string, string> };
  return fetch(`${url}/v1/chat/completions`, { method: "POST", body: chatBody(stream), ...init, headers });
}

/** A POST as it goes over the wire; `length` says more bytes than there are. */
export function rawPost(body: string, length = new TextEncoder().encode(body).length): Uint8Array<ArrayBuffer> {
  const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n`;
  return new TextEncoder().encode(`${head}content-length: ${length}\r\n\r\n${body}`);
}

/** Connects, sends all of it and gives the connection. */
export async function send(port: number, bytes: Uint8Array): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  return connection;
}

/** What comes next on a connection; empty at its end. */
export async function receive(connection: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(1 << 16);
  const count = await connection.read(buffer) ?? 0;
  return new TextDecoder().decode(buffer.subarray(0, count));
}

/** Waits until something holds, and fails if that takes more than 5 s. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !holds(); waited += 5) {
    if (waited >= 5000) throw new Error(`${what} did not come to hold within 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A script without an end: the same delta again and again, with a rest between. */
export function* endless(delta: Delta, millis = 0): Generator<() => Promise<Delta>> {
  while (true) yield () => new Promise((resolve) => setTimeout(() => resolve(delta), millis));
}

/** A script that waits, then says the rest. */
export function slowly(millis: number, rest: readonly Delta[]): Script {
  const [first, ...others] = rest;
  return [() => new Promise((resolve) => setTimeout(() => resolve(first!), millis)), ...others];
}

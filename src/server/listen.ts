/** The server on its port: Node's HTTP server, which is part of Deno, before a function from Request to Response. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Times } from "./traffic.ts";

export interface Listener extends AsyncDisposable {
  readonly port: number;
}

type Fetch = (request: Request) => Response | Promise<Response>;

/** Milliseconds in which connections close once the server does. */
const CLOSE_MILLIS = 2000;

/**
 * Listens until it is disposed of: then it answers what it has begun to answer, for a moment, and closes. `Deno.serve` (2.9) would not
 * tell of a client that leaves before its answer has begun, unless the request was a few hundred bytes, and has no limit of time for
 * a request's headers.
 * @param port 0 takes a free one.
 * @throws Error if the address cannot be had
 */
export async function listen(host: string, port: number, times: Times, fetch: Fetch): Promise<Listener> {
  const server = createServer({
    headersTimeout: times.headers,
    requestTimeout: times.headers + times.body + 1000, // the route itself says 408 before, in JSON
    keepAliveTimeout: times.idle,
    connectionsCheckingInterval: Math.min(times.headers, 5000),
  }, (incoming, outgoing) => void answer(incoming, outgoing, fetch));
  await new Promise<void>((resolve, reject) => {
    server.on("error", (error: Error & { code?: string }) => {
      const why = error.code === "EADDRINUSE" ? "it is taken: choose another --port" : error.message;
      reject(new Error(`Cannot listen on ${host} port ${port}: ${why}`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MILLIS);
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
      clearTimeout(timer);
    },
  };
}

async function answer(incoming: IncomingMessage, outgoing: ServerResponse, fetch: Fetch): Promise<void> {
  const gone = new AbortController();
  outgoing.on("close", () => {
    if (!outgoing.writableFinished) gone.abort(new DOMException("The client has left", "AbortError"));
  });
  for (const side of [incoming, outgoing]) side.on("error", () => {}); // "close" tells what there is to know
  try {
    const request = toRequest(incoming, gone.signal);
    if (request === null) outgoing.writeHead(400, { connection: "close" }).end();
    else await write(await fetch(request), outgoing);
    incoming.resume(); // lets go by what nobody asked for
  } catch {
    outgoing.destroy(); // a body that broke off: whoever reads it hears so
  }
}

/** Null for what HTTP allows and a Request does not, such as TRACE. */
function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request | null {
  const { method = "GET", rawHeaders } = incoming;
  const headers = new Headers();
  try {
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.append(rawHeaders[i]!, rawHeaders[i + 1]!);
    const url = new URL(incoming.url ?? "/", `http://${headers.get("host") || "localhost"}`);
    const body = method === "GET" || method === "HEAD" ? null : bodyOf(incoming);
    return new Request(url, { method, headers, body, signal });
  } catch {
    return null;
  }
}

/** Read as it is asked for; what is not wanted is let go by. */
function bodyOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  let state: "untouched" | "wanted" | "unwanted" = "untouched";
  return new ReadableStream({
    pull(controller) {
      if (state === "wanted") return void incoming.resume();
      state = "wanted";
      incoming.on("data", (part: Uint8Array) => {
        if (state === "unwanted") return;
        controller.enqueue(new Uint8Array(part));
        incoming.pause();
      });
      const over = (end: () => void) => () => {
        if (state === "wanted") end();
        state = "unwanted";
      };
      incoming.once("end", over(() => controller.close()));
      incoming.once("aborted", over(() => controller.error(new Error("The request broke off"))));
    },
    cancel() {
      state = "unwanted";
      incoming.resume();
    },
  }, { highWaterMark: 0 });
}

/** Events as they come and as fast as the client reads, all else in one piece. */
async function write(response: Response, outgoing: ServerResponse): Promise<void> {
  const { status, headers, body } = response;
  const streaming = headers.get("content-type")?.startsWith("text/event-stream") ?? false;
  const whole = streaming ? null : new Uint8Array(await response.arrayBuffer());
  if (whole && status !== 204 && outgoing.req.method !== "HEAD") headers.set("content-length", `${whole.length}`);
  outgoing.writeHead(status, [...headers].flat());
  if (whole) return void outgoing.end(whole);
  outgoing.flushHeaders();
  const reader = body!.getReader();
  outgoing.once("close", () => reader.cancel().catch(() => {}));
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (!outgoing.write(part.value)) await drained(outgoing);
  }
  outgoing.end();
}

/** Resolves when more can be written, or nothing ever again. */
function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (outgoing.destroyed) return resolve();
    const settle = () => {
      outgoing.off("drain", settle).off("close", settle);
      resolve();
    };
    outgoing.on("drain", settle).on("close", settle);
  });
}

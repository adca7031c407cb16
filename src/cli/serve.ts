/** `ringlet serve`: the OpenAI-compatible server. */
import { basename } from "node:path";
import { Option } from "@commander-js/extra-typings";
import { fold } from "../chat/fold.ts";
import { createApp } from "../server/app.ts";
import type { LogEntry } from "../server/request_log.ts";
import { integer, maxSequences, modelCommand, type ModelFlags, prefixCache, toLoadOptions } from "./args.ts";
import type { Host, Model } from "./host.ts";
import { openModel } from "./open.ts";

const help = `
Serves POST /v1/chat/completions and /v1/completions, GET /v1/models, /health and /openapi.json.
A first Ctrl-C lets running answers end; a second one does not.

Example:
  ringlet serve --port 8000 --api-key secret`;

export function serveCommand(host: Host) {
  return modelCommand("serve")
    .description("serve the model over HTTP, as OpenAI's API")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0 takes a free one", integer(0, 65535), 8000)
    .addOption(new Option("--api-key <key>", "ask every request for this key").env("RINGLET_API_KEY"))
    .option("--served-model-name <name>", "name that requests give the model")
    .option("--cors <origin>", "origin whose web pages may call; * for all")
    .addOption(maxSequences)
    .addOption(prefixCache)
    .option("--deterministic", "the same bits for an answer whoever else is answered; steps of 8 sequences at most")
    .addHelpText("after", help)
    .action((flags) => serve(host, flags));
}

type Flags = ModelFlags & {
  readonly host: string;
  readonly port: number;
  readonly apiKey?: string;
  readonly servedModelName?: string;
  readonly cors?: string;
};

/** Listens at once, loads the model and serves it until a signal comes. */
async function serve(host: Host, flags: Flags): Promise<void> {
  const { note, paint } = host.terminal;
  let model: Model | null = null;
  const name = flags.servedModelName ?? basename(flags.model ?? host.embeddedModel);
  // An empty key, as from an empty variable, is none.
  const apiKey = flags.apiKey || undefined;
  const log = (entry: LogEntry) => note(`${toLine(entry)}\n`);
  const server = listen(flags, createApp({ name, model: () => model, apiKey, corsOrigin: flags.cors, log }).fetch);
  const address = flags.host.includes(":") ? `[${flags.host}]` : flags.host;
  note(`Serving ${paint.bold(name)} at ${paint.cyan(`http://${address}:${server.addr.port}/v1`)}\n`);
  if (apiKey === undefined && !isLoopback(flags.host)) {
    note(`Warning: whoever reaches ${flags.host} can use this server: set --api-key\n`);
  }
  const stopping = new AbortController();
  using _signals = onStopSignals(() => {
    note("Stopping once running answers have ended; again to stop at once\n");
    stopping.abort();
    server.shutdown();
  });
  try {
    await using loaded = await openModel(host, { ...toLoadOptions(flags), signal: stopping.signal });
    await warm(loaded);
    model = loaded;
    note(`Ready: ${describe(loaded)}\n`);
    await server.finished;
  } finally {
    await server.shutdown();
  }
}

function listen(
  { host, port }: { host: string; port: number },
  fetch: (request: Request) => Response | Promise<Response>,
) {
  try {
    return Deno.serve({ hostname: host, port, onListen: () => {} }, (request) => fetch(request));
  } catch (error) {
    const taken = error instanceof Deno.errors.AddrInUse;
    const why = taken ? "it is taken: choose another --port" : (error as Error).message;
    throw new Error(`Cannot listen on ${host} port ${port}: ${why}`, { cause: error });
  }
}

/** Calls `stop` at the first signal; a second one ends the process. */
function onStopSignals(stop: () => void): Disposable {
  let stopping = false;
  const heard = () => {
    if (stopping) Deno.exit(130);
    stopping = true;
    stop();
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, heard);
  return {
    [Symbol.dispose]: () => {
      for (const signal of signals) Deno.removeSignalListener(signal, heard);
    },
  };
}

/** One token, from text to text. Kernels are compiled by then; this shows that all parts answer. */
async function warm(model: Model): Promise<void> {
  await fold(model.complete({ prompt: "a", maxTokens: 1 }));
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** `webgpu on NVIDIA H100, 4 sequences of 8192 tokens`. */
function describe({ info }: Model): string {
  const devices = new Set(info.stages.map(({ backend, device }) => `${backend} on ${device}`));
  return `${[...devices].join(", ")}; ${info.slots} x ${info.context} tokens`;
}

/** A log entry as one line of JSON. */
function toLine({ error, ...entry }: LogEntry): string {
  const reason = error === undefined ? {} : { error: error instanceof Error ? error.message : String(error) };
  return JSON.stringify({ time: new Date().toISOString(), ...entry, ...reason });
}

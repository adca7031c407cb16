/** `ringlet serve`: the OpenAI-compatible server. */
import { Option } from "@commander-js/extra-typings";
import { fold } from "../chat/fold.ts";
import { createApp } from "../server/app.ts";
import { listen } from "../server/listen.ts";
import type { LogEntry } from "../server/request_log.ts";
import type { DeviceChoice } from "../mod.ts";
import { Traffic } from "../server/traffic.ts";
import { type AccessFlags, accessKeys } from "./api_keys.ts";
import {
  given,
  integer,
  modelCommand,
  type ModelFlags,
  MOST_SECONDS,
  number,
  prefixCache,
  toLoadOptions,
} from "./args.ts";
import { fetchedModel, modelName } from "./fetched_model.ts";
import { deviceName } from "./device.ts";
import type { Host, Model } from "./host.ts";
import { openModel } from "./open.ts";
import { checkPoolFlags, type ServePoolFlags, servePoolFlags, toPoolOptions } from "./serve_pool.ts";
import { onStopSignals } from "./stop_signals.ts";

const help = `
Serves OpenAI's API below /v1, /health (ready for requests), /health/live, /metrics and /openapi.json.
With --nats the stages of a pool compute, whose flags are theirs (ringlet stage); --model may be nats:NAME, which
ringlet pool push has put there, and of which a server fetches no weights.
The first Ctrl-C or SIGTERM lets running answers end, the second does not.

Examples:
  ringlet serve --port 8000 --api-key secret
  ringlet serve --host 0.0.0.0 --api-key-file keys.txt --max-sequences 16
  ringlet serve --nats nats://broker:4222 --model /models/Ring-mini-linear-2.0      on the stages of a pool (ringlet stage)`;

export function serveCommand(host: Host) {
  const command = modelCommand("serve")
    .description("serve the model over HTTP, as OpenAI's API")
    .option("--host <address>", "address to listen on; one that others reach needs a key", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0 takes a free one", integer(0, 65535), 8000)
    .addOption(
      new Option("--api-key <key>", "ask for this key; may be repeated").env("RINGLET_API_KEY")
        .argParser((text, all: string[] = []) => [...all, text]),
    )
    .option("--api-key-file <file>", "ask for one of these keys, one a line, # for comments")
    .option("--allow-anonymous", "let whoever reaches --host use the model without a key")
    .option("--served-model-name <name>", "name that requests give the model")
    .option("--cors <origin>", "origin whose web pages may call; * for all")
    .addOption(
      new Option("--max-sequences <n>", "sequences in flight at once; others wait").argParser(integer(1))
        .default(8).helpGroup("Model:"),
    )
    .addOption(prefixCache)
    .option("--deterministic", "the same bits for an answer whoever else is answered; steps of 8 sequences at most")
    .option("--max-queue <n>", "requests that may wait for others; more are refused", integer(0), 128)
    .option("--request-timeout <seconds>", "end answers that take longer (default: never)", number(0.001, MOST_SECONDS))
    .option("--drain-timeout <seconds>", "time that running answers have when it stops", number(0, MOST_SECONDS), 30)
    .addHelpText("after", help);
  return servePoolFlags(command).action((flags, command) => {
    checkPoolFlags(command);
    return serve(host, flags);
  });
}

type Flags = ModelFlags & AccessFlags & ServePoolFlags & {
  readonly port: number;
  readonly servedModelName?: string;
  readonly cors?: string;
  readonly maxQueue: number;
  readonly requestTimeout?: number;
  readonly drainTimeout: number;
};

/** Listens at once, loads the model and serves it until a signal comes. */
async function serve(host: Host, flags: Flags): Promise<void> {
  const { note, paint } = host.terminal;
  let model: Model | null = null;
  const root = modelName(flags.model ?? host.embeddedModel);
  const name = flags.servedModelName ?? root;
  const apiKeys = await accessKeys(flags);
  const log = (entry: LogEntry) => note(`${toLine(entry)}\n`);
  const traffic = new Traffic({ answer: (flags.requestTimeout ?? Infinity) * 1000 });
  const waiting = { what: null as string | null };
  const app = createApp({
    ...{ name, root, apiKeys, corsOrigin: flags.cors, log, traffic },
    model: () => model,
    waiting: () => waiting.what,
  });
  await using server = await listen(flags.host, flags.port, traffic.times, (request) => app.fetch(request));
  const address = flags.host.includes(":") ? `[${flags.host}]` : flags.host;
  const url = `http://${address}:${server.port}`;
  note(`Serving ${paint.bold(name)} at ${paint.cyan(`${url}/v1`)}\n`);
  const stopping = new AbortController();
  using _signals = onStopSignals(() => {
    note("Stopping once running answers have ended; again to stop at once\n");
    stopping.abort();
  });
  const options = {
    ...toLoadOptions(flags),
    ...toPoolOptions(flags),
    onWaiting(what: string | null) {
      waiting.what = what;
      note(`${what ?? "All layers are there"}\n`);
    },
    maxWaiting: flags.maxQueue,
    signal: stopping.signal,
  };
  const open = async () => {
    const model = await fetchedModel(host, flags, null, stopping.signal);
    return await openModel(host, { ...options, ...given({ model }) }, (choice) => tell(host.terminal, choice));
  };
  await using loaded = await open().catch((error) => {
    if (stopping.signal.aborted) return null;
    throw error;
  });
  if (!loaded) return;
  await warm(loaded);
  model = loaded;
  note(`Ready: ${describe(loaded)}; to chat, open ${paint.cyan(url)}\n`);
  await aborted(stopping.signal);
  await traffic.drain(flags.drainTimeout * 1000);
}

/** Says who computes and why, if that was left to Ringlet. */
function tell({ note }: Host["terminal"], { backend, gpu, reason }: DeviceChoice): void {
  if (reason !== null) note(`Taking ${backend === "wasm" ? backend : gpu.join(", ")}: ${reason}\n`);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

/** One token, from text to text. Kernels are compiled by then; this shows that all parts answer. */
async function warm(model: Model): Promise<void> {
  await fold(model.complete({ prompt: "a", maxTokens: 1 }));
}

/** `webgpu on NVIDIA H100 by deno; 4 x 8192 tokens`. */
function describe({ info }: Model): string {
  const devices = new Set(info.stages.map((stage) => `${stage.backend} on ${deviceName(stage)}`));
  return `${[...devices].join(", ")}; ${info.slots} x ${info.context} tokens`;
}

/** A log entry as one line of JSON. */
function toLine({ error, ...entry }: LogEntry): string {
  const reason = error === undefined ? {} : { error: error instanceof Error ? error.message : String(error) };
  return JSON.stringify({ time: new Date().toISOString(), ...entry, ...reason });
}

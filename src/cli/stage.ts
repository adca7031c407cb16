/** `ringlet stage`: offers some layers of a model to a pool, whose server makes routes through them. */
import type { JoinedStage, JoinSettings, PoolStageEvent } from "../mod.ts";
import { given } from "./args.ts";
import { deviceName, settleDevice } from "./device.ts";
import { fetchedModel, modelName } from "./fetched_model.ts";
import type { Host } from "./host.ts";
import { withProgress } from "./progress.ts";
import { type StageFlags, stageFlags, toSettings } from "./stage_flags.ts";
import { onStopSignals } from "./stop_signals.ts";

const help = `
Stages find their server by a NATS broker with JetStream, and send each other what they computed over TCP connections of
their own where they can. All stages and the server must have the same checkpoint, --quantize, --kv-cache, --decay and
--rope-scaling; a server has as many sequences and tokens as the least of its stages has room for. Layers may be there
several times: such stages share the sequences, and where one is lost those of it begin anew on another.
--model nats:NAME fetches from the broker what the layers need of a model that ringlet pool push has put there.
Ctrl-C or SIGTERM leaves the pool in order: sequences on it go on elsewhere at once, if somebody has its layers.

Examples:
  ringlet stage --nats nats://broker:4222 --model /models/Ring-mini-linear-2.0 --layers 0-9
  ringlet stage --nats nats://broker:4222 --model nats:ring-mini --layers 10-19
  ringlet stage --nats tls://broker:4222 --nats-creds stage.creds --layers 10-19 --quantize q4 --max-sequences 16
  ringlet serve --nats nats://broker:4222 --model /models/Ring-mini-linear-2.0      once their layers are all there`;

/** Between two writes of the file that shows that the stage is well. */
const ALIVE_MILLIS = 1000;

export const stageCommand = (host: Host) =>
  stageFlags().addHelpText("after", help).action((flags) => stage(host, flags));

/** Opens the layers and serves them until a signal comes. */
async function stage(host: Host, flags: StageFlags): Promise<void> {
  const { note, paint } = host.terminal;
  const stopping = new AbortController();
  using _signals = onStopSignals(() => stopping.abort());
  const settings = {
    ...toSettings(flags),
    onEvent: (event: PoolStageEvent) => note(`${sentenceOf(event)}\n`),
    signal: stopping.signal,
  };
  const open = async () => {
    const model = await fetchedModel(host, flags, flags.layers, stopping.signal);
    return await join(host, { ...settings, ...given({ model }) });
  };
  await using joined = await open().catch((error) => {
    if (stopping.signal.aborted) return null;
    throw error;
  });
  if (!joined) return;
  note(`${describe(joined, paint.bold(modelName(flags.model ?? host.embeddedModel)))}\n`);
  await using _alive = await keepAlive(flags.aliveFile);
  const failure = await Promise.race([joined.ended, aborted(stopping.signal)]);
  if (failure !== null) throw new Error(`The stage stopped: ${failure}`);
  note("Leaving the pool\n");
}

async function join(host: Host, settings: JoinSettings): Promise<JoinedStage> {
  const { pool: _, ...asked } = settings;
  const { backend, gpu, reason } = await settleDevice(host, asked);
  if (reason !== null) host.terminal.note(`Taking ${backend === "wasm" ? backend : gpu.join(", ")}: ${reason}\n`);
  return await withProgress(
    host.terminal,
    "Loading",
    (onProgress) => host.joinPool({ ...settings, backend, gpu, onProgress }),
  );
}

/** `Stage 10-19 of ring-nano on CPU (WASM SIMD) in pool default: 2.1 ms a row, 3400 rows/s of a prompt; 8 x 8192 tokens`. */
function describe({ offer, pool }: JoinedStage, model: string): string {
  const { layers: { start, end }, info, speed: { rowMillis, promptRows }, capacity: { slots, context } } = offer;
  const speed = `${rowMillis.toPrecision(2)} ms a row, ${Math.round(promptRows)} rows/s of a prompt`;
  return `Stage ${start}-${end - 1} of ${model} on ${
    deviceName(info)
  } in pool ${pool}: ${speed}; ${slots} x ${context} tokens`;
}

/** What happens to the stage, as a line. */
function sentenceOf(event: PoolStageEvent): string {
  switch (event.type) {
    case "joined":
      return `On route ${event.route} of server ${event.session}, to ${
        event.to === "server" ? "the server" : event.to
      }`;
    case "left":
      return `Route ${event.route} of server ${event.session} ended: ${event.reason}`;
    case "refused":
      return `Refused server ${event.session}: ${event.reason}`;
    case "notTaken":
      return `Server ${event.session} does not take this stage: ${event.reason}`;
    case "brokerLost":
      return `The broker is away, trying again${event.reason === null ? "" : `: ${event.reason}`}`;
    case "brokerBack":
      return "The broker is back";
    default:
      return event satisfies never;
  }
}

/** Writes the file from now on, if there is to be one. */
async function keepAlive(file: string | undefined): Promise<AsyncDisposable> {
  if (file === undefined) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const write = () => Deno.writeTextFile(file, `${new Date().toISOString()}\n`);
  await write().catch((error) => {
    throw new Error(`Cannot write ${file}: ${(error as Error).message}`);
  });
  const timer = setInterval(() => void write().catch(() => {}), ALIVE_MILLIS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await Deno.remove(file).catch(() => {});
    },
  };
}

function aborted(signal: AbortSignal): Promise<null> {
  if (signal.aborted) return Promise.resolve(null);
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(null)));
}

/** A world for commands in which nothing is real: a scripted model, and streams that are kept. */
import colors from "picocolors";
import type { Host, Model } from "../../src/cli/host.ts";
import { run } from "../../src/cli/program.ts";
import type { LoadOptions } from "../../src/mod.ts";
import { type Script, ScriptedModel } from "../server/scripted_model.ts";

/** Scores token t as ln(1/2) and gives the logits [t, 0.1, -1, 1e-7]. */
export class FakeModel extends ScriptedModel implements Model {
  readonly model = "fake";
  override readonly tokenizer = {
    encode: (text: string) => Uint32Array.from(text, (c) => c.charCodeAt(0) % 4),
    decode: (ids: ArrayLike<number>) => Array.from(ids).join(" "),
  };
  chunks: readonly number[] | undefined;
  disposed = false;

  async *score(tokens: Uint32Array, options: { logits?: boolean; chunks?: readonly number[] } = {}) {
    this.chunks = options.chunks;
    for (let first = 0; first < tokens.length; first += 2) {
      const part = tokens.subarray(first, first + 2);
      const logprobs = Float64Array.from(part, (_, i) => first + i === 0 ? NaN : Math.log(0.5));
      const logits = options.logits ? Float32Array.from([...part].flatMap((t) => [t, 0.1, -1, 1e-7])) : null;
      yield { first, logprobs, logits };
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }
}

/** All of a model as one stage. */
const SHARE = {
  layers: { start: 0, end: 10 },
  ...{ weightBytes: 26_500_000, stateBytes: 1_000_000, cacheBytes: 16_777_216, activationBytes: 5e5 },
};

export interface Result {
  readonly code: number;
  /** What went to stdout. */
  readonly out: string;
  /** What went to stderr. */
  readonly err: string;
  readonly model: FakeModel;
  readonly loaded: readonly LoadOptions[];
}

export interface World {
  readonly script?: Script | ((question: string) => Script);
  /** What stdin gives; a terminal without it. */
  readonly stdin?: string;
  readonly host?: Partial<Host>;
}

/** Runs the command line in such a world. */
export async function ringlet(args: readonly string[], { script = [], stdin, host = {} }: World = {}): Promise<Result> {
  let out = "", err = "";
  const model = new FakeModel(script);
  const loaded: LoadOptions[] = [];
  const code = await run(args, {
    terminal: {
      interactive: false,
      live: false,
      paint: colors.createColors(false),
      write: (text) => void (out += text),
      size: () => null,
      draw: (text) => void (out += text),
      note: (text) => void (err += text),
      readAll: () => Promise.resolve(stdin ?? null),
      async *lines() {
        yield* (stdin ?? "").split("\n");
      },
    },
    embeddedModel: "models/ring-nano",
    load: (options) => {
      loaded.push(options);
      return Promise.resolve(model);
    },
    convert: () => Promise.resolve({ shards: 1, sourceBytes: 2_000_000, bytes: 1_000_000 }),
    joinPool: () => Promise.reject(new Error("there is no pool")),
    openEngine: () => Promise.reject(new Error("there is no engine")),
    chooseDevice: ({ gpu = "auto" }) =>
      Promise.resolve({
        backend: "wasm",
        gpu: gpu === "auto" ? ["deno"] : typeof gpu === "string" ? [gpu] : gpu,
        reason: null,
      }),
    compareProviders: () => Promise.resolve({ measured: "2026-01-02T03:04:05.678Z", rows: [], chosen: null }),
    measureDevice: () => Promise.resolve({ device: "CPU", bandwidth: 1e9, flops: 1e9, dispatchMillis: null }),
    modelWork: () => Promise.reject(new Error("there is no model")),
    chunkRows: () => Promise.resolve(256),
    listDevices: () => Promise.resolve([]),
    plannedGpuInstallation: (name) => ({
      name,
      version: "29",
      url: "https://example.org/wheel",
      bytes: 3_500_000,
      path: "/cache/lib",
    }),
    installGpu: () => Promise.resolve("/cache/lib"),
    deviceChoices: () => Promise.resolve(null),
    modelSize: () => Promise.resolve({ ...SHARE, context: 8192 }),
    threadsOf: () => Promise.resolve(4),
    modelSplit: () => Promise.resolve({ stages: [SHARE], neededBytes: 28e6, availableBytes: 4e9 }),
    watchPool: () => {
      throw new Error("there is no broker");
    },
    pushModel: () => Promise.reject(new Error("there is no broker")),
    storedModels: () => Promise.resolve([]),
    fetchModel: () => Promise.reject(new Error("there is no broker")),
    ...host,
  });
  return { code, out, err, model, loaded };
}

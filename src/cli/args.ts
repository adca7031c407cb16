/** Every flag that commands share, declared once. */
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { GenerationOptions } from "../chat/messages.ts";
import type { GpuProvider, LoadOptions } from "../mod.ts";

/** Reads a whole number from `least` to `most`. */
export function integer(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    if (/^\d+$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text);
    const range = most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `from ${least} up`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

/** Longest time limit: timers count milliseconds in 31 bits. */
export const MOST_SECONDS = 2_000_000;

/** Reads a number from `least` to `most`. */
export function number(least: number, most = Infinity): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= least && value <= most && Number.isFinite(value)) return value;
    const range = most < Infinity ? `from ${least} to ${most}` : `from ${least} up`;
    throw new InvalidArgumentError(`It must be a number ${range}.`);
  };
}

/** Accepts what matches, and says what is `expected` of the rest. */
export function matching(pattern: RegExp, expected: string): (text: string) => string {
  return (text) => {
    if (pattern.test(text)) return text;
    throw new InvalidArgumentError(`It must be ${expected}.`);
  };
}

/** Reads a size in bytes: 0, or a number with a unit as 512MiB or 2GiB. */
export function size(text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)(KiB|MiB|GiB|B)?$/.exec(text) ?? [];
  const bytes = Number(count) * { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[unit ?? "B"]!;
  if (Number.isSafeInteger(Math.floor(bytes))) return Math.floor(bytes);
  throw new InvalidArgumentError("It must be a size like 512MiB or 2GiB, or 0.");
}

/** Sizes of the two tiers of a prefix cache; the second may be left out. */
interface CacheSizes {
  readonly device: number;
  readonly host?: number;
}

/** Reads the size of a prefix cache on the device, and behind a comma in the computer's memory. */
function cacheSizes(text: string): CacheSizes {
  const [device, host, ...rest] = text.split(",").map(size);
  if (rest.length > 0) throw new InvalidArgumentError("It must be one size, or two like 512MiB,8GiB.");
  return { device: device!, ...(host !== undefined && { host }) };
}

/** Reads the name of a GPU provider, of wgpu-native with an adapter. */
export function gpuProvider(text: string): GpuProvider {
  if (text === "deno" || text === "wgpu-native" || text === "dawn") return text;
  if (/^wgpu-native:./.test(text)) return text as GpuProvider;
  const expected = "deno, dawn, wgpu-native, or wgpu-native:ADAPTER with a number or a part of a name";
  throw new InvalidArgumentError(`It must be ${expected}.`);
}

/** Reads one for all stages, or behind commas one for each. */
const gpuProviders = (text: string): "auto" | readonly GpuProvider[] =>
  text === "auto" ? text : text.split(",").map(gpuProvider);

export const maxSequences = new Option("--max-sequences <n>", "sequences in flight at once")
  .argParser(integer(1)).helpGroup("Model:");

export const prefixCache = new Option(
  "--prefix-cache <size[,ram]>",
  "device memory for what prompts begin with, so that it is not computed again, and RAM behind it " +
    "(default: four times as much behind a GPU); 0 keeps nothing",
)
  .argParser(cacheSizes).default({ device: 2 ** 29 }, "512MiB").helpGroup("Model:");

/** What is said of a model that runs, but for how it is cut into stages. */
export const modelOptions = {
  model: new Option("--model <dir>", "checkpoint to load (default: the embedded ring-nano)").helpGroup("Model:"),
  backend: new Option(
    "--backend <name>",
    "auto takes a hardware GPU if there is one, else WASM, unless software was measured to be faster",
  )
    .choices(["auto", "webgpu", "wasm"] as const).default("auto" as const).helpGroup("Model:"),
  threads: new Option(
    "--threads <n>",
    "threads of a WASM stage (default: the processors, up to 16, or fewer for a small model)",
  )
    .argParser(integer(1)).helpGroup("Model:"),
  quantize: new Option("--quantize <kind>", "matrices in 8 bits (q8), or routed experts in 4 and the others in 8 (q4)")
    .choices(["none", "q8", "q4"] as const).default("none" as const).helpGroup("Model:"),
  kvCache: new Option("--kv-cache <type>", "keys and values in f32, or in f16 with half the memory")
    .choices(["f32", "f16"] as const).default("f32" as const).helpGroup("Model:"),
  maxContext: new Option("--max-context <n>", "tokens that a sequence may have").argParser(integer(1))
    .helpGroup("Model:"),
  decay: new Option("--decay <convention>", "decay of the linear layers")
    .choices(["serving", "hf", "mlx"] as const).default("serving" as const).helpGroup("Model:"),
  ropeScaling: new Option("--rope-scaling <kind>", "stretch the context, as yarn:4")
    .argParser(matching(/^yarn:\d+(\.\d+)?$/, "like yarn:4")).helpGroup("Model:"),
} as const;

/** A command that runs a model. */
export function modelCommand(name: string) {
  const { model, backend, threads, quantize, kvCache, maxContext, decay, ropeScaling } = modelOptions;
  return new Command(name)
    .addOption(model)
    .addOption(backend)
    .addOption(
      new Option(
        "--gpu <providers>",
        "where WebGPU comes from: auto takes the best by measurement; deno, dawn, or wgpu-native with :1 or :NAME for one of its adapters; with commas one for each stage",
      )
        .argParser(gpuProviders).default("auto" as "auto" | readonly GpuProvider[], "auto").helpGroup("Model:"),
    )
    .addOption(
      new Option(
        "--stages <n>",
        "workers that share the layers (default: 1, or as many WASM memories as the model needs)",
      ).argParser(integer(1)).conflicts("layers")
        .helpGroup("Model:"),
    )
    .addOption(
      new Option("--layers <ranges>", "the layers of each stage, as 0-9,10-19")
        .argParser(matching(/^\d+-\d+(,\d+-\d+)*$/, "ranges like 0-9,10-19")).helpGroup("Model:"),
    )
    .addOption(threads)
    .addOption(quantize)
    .addOption(kvCache)
    .addOption(maxContext)
    .addOption(decay)
    .addOption(ropeScaling);
}

/** A command that generates text. */
export function generationCommand(name: string) {
  return modelCommand(name)
    .addOption(new Option("--system <text>", "system message").helpGroup("Generation:"))
    .addOption(
      new Option("--max-tokens <n>", "tokens to generate at most").argParser(integer(1)).helpGroup("Generation:"),
    )
    .addOption(
      new Option("--temperature <t>", "0, the default, is greedy").argParser(number(0)).helpGroup("Generation:"),
    )
    .addOption(
      new Option("--top-p <p>", "keep the likeliest tokens of mass p").argParser(number(0, 1)).helpGroup("Generation:"),
    )
    .addOption(new Option("--top-k <k>", "keep the k likeliest tokens").argParser(integer(0)).helpGroup("Generation:"))
    .addOption(
      new Option("--min-p <p>", "drop tokens less likely than p times the likeliest").argParser(number(0, 1))
        .helpGroup("Generation:"),
    )
    .addOption(
      new Option("--repetition-penalty <r>", "above 1, makes what was said less likely").argParser(number(0))
        .helpGroup("Generation:"),
    )
    .addOption(
      new Option("--seed <n>", "the same seed gives the same text").argParser(integer(0)).helpGroup("Generation:"),
    )
    .addOption(
      new Option("--stop <text>", "ends the answer; may be repeated")
        .argParser((text, all: string[] = []) => [...all, text]).helpGroup("Generation:"),
    )
    .addOption(new Option("--no-think", "answer without thinking first").helpGroup("Generation:"))
    .addOption(
      new Option("--think-budget <n>", "tokens after which a thought is closed").argParser(integer(0))
        .helpGroup("Generation:"),
    );
}

export type ModelFlags = ReturnType<ReturnType<typeof modelCommand>["opts"]> & {
  readonly maxSequences?: number;
  readonly prefixCache?: CacheSizes;
  readonly deterministic?: boolean;
};
export type GenerationFlags = ReturnType<ReturnType<typeof generationCommand>["opts"]>;

/** What of the flags `load()` wants. */
export function toLoadOptions(flags: ModelFlags): LoadOptions {
  const {
    model,
    backend,
    gpu,
    stages,
    layers,
    threads,
    maxContext,
    decay,
    ropeScaling,
    quantize,
    kvCache,
    maxSequences,
    prefixCache,
    deterministic,
  } = flags;
  return given({
    model,
    backend,
    gpu,
    stages,
    layers,
    threads,
    maxContext,
    decay,
    ropeScaling,
    quantize,
    kvCache,
    maxSequences,
    prefixCache: prefixCache?.device,
    hostCache: prefixCache?.host,
    deterministic,
  });
}

/** What of the flags a request wants. */
export function toGenerationOptions(flags: GenerationFlags): GenerationOptions {
  const { temperature, topP, topK, minP, repetitionPenalty, seed, maxTokens, stop } = flags;
  const sampling = given({ temperature, topP, topK, minP, repetitionPenalty, seed });
  return { sampling, ...given({ maxTokens, stop }) };
}

/** How the flags want the model to think. */
export function toThinking(flags: GenerationFlags) {
  return given({ thinking: flags.think ? undefined : false, thinkBudget: flags.thinkBudget });
}

/** An object without the members that were left out. */
export function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

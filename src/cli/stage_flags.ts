/** What is said of a stage of a pool. */
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { JoinSettings } from "../mod.ts";
import { given, gpuProvider, integer, matching, modelOptions, size } from "./args.ts";
import { type PoolFlags, poolFlags, toPool } from "./pool_flags.ts";

/** The command, without what it does. */
export function stageFlags() {
  const { model, backend, threads, quantize, kvCache, maxContext, decay, ropeScaling } = modelOptions;
  const command = new Command("stage")
    .description("offer layers of the model to a pool")
    .addOption(
      new Option("--layers <range>", "first and last layer, as 10-19").makeOptionMandatory()
        .argParser(matching(/^\d+-\d+$/, "a range like 10-19")).helpGroup("Model:"),
    )
    .addOption(model)
    .addOption(backend)
    .addOption(
      new Option(
        "--gpu <provider>",
        "where WebGPU comes from: auto takes the best by measurement; deno, dawn, or wgpu-native",
      )
        .argParser((text) => text === "auto" ? text : gpuProvider(text)).default("auto" as const).helpGroup("Model:"),
    )
    .addOption(threads)
    .addOption(quantize)
    .addOption(kvCache)
    .addOption(maxContext)
    .addOption(
      new Option("--max-sequences <n>", "sequences in flight at once").argParser(integer(1)).default(8)
        .helpGroup("Model:"),
    )
    .addOption(
      new Option(
        "--prefix-cache <size>",
        "memory for what prompts begin with, on all stages of a route together; 0 keeps nothing",
      )
        .argParser(size).default(2 ** 29, "512MiB").helpGroup("Model:"),
    )
    .addOption(decay)
    .addOption(ropeScaling)
    .option("--alive-file <file>", "file that is written anew every second while the stage is open and well");
  return poolFlags(command);
}

export type StageFlags = ReturnType<ReturnType<typeof stageFlags>["opts"]> & PoolFlags;

/** What of the flags `joinPool()` wants. */
export function toSettings(flags: StageFlags): JoinSettings {
  const pool = toPool(flags);
  if (pool === null) throw new InvalidArgumentError("Cannot join a pool without --nats, the broker where it meets");
  const { layers, model, backend, gpu, threads, quantize, kvCache, maxContext, maxSequences, prefixCache } = flags;
  const { decay, ropeScaling } = flags;
  return {
    ...pool,
    ...{ layers, backend, gpu, quantize, kvCache, maxSequences, prefixCache, decay },
    ...given({ model, threads, maxContext, ropeScaling }),
  };
}

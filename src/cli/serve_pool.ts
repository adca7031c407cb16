/** The flags of a server whose stages are other processes. */
import { type CommandUnknownOpts, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { LoadOptions } from "../mod.ts";
import { MOST_SECONDS, number } from "./args.ts";
import { type PoolFlags, poolFlags, toPool } from "./pool_flags.ts";

export interface ServePoolFlags extends PoolFlags {
  readonly poolTimeout?: number;
  readonly activations?: "f32" | "bf16";
}

/** Adds them to a command, whose action's flags are {@linkcode ServePoolFlags} too. */
export function servePoolFlags<C>(command: C): C {
  // Not its own type, as natsFlags() says.
  const plain = poolFlags(command) as unknown as CommandUnknownOpts;
  plain.addOption(
    new Option("--pool-timeout <seconds>", "time that requests wait where layers are missing (default: 30)")
      .argParser(number(0, MOST_SECONDS)).helpGroup("Pool:"),
  );
  plain.addOption(
    new Option("--activations <type>", "what goes from stage to stage: f32, or bf16 with half the bytes (default: f32)")
      .choices(["f32", "bf16"]).helpGroup("Pool:"),
  );
  return command;
}

/** What says how this process computes, which in a pool it does not. */
const OF_STAGES = ["backend", "gpu", "stages", "layers", "threads", "prefixCache"];
const OF_POOL = ["pool", "poolTimeout", "activations", "advertise", "linkPort", "direct"];

/** @throws {InvalidArgumentError} for flags that say nothing, with `--nats` or without it */
export function checkPoolFlags(command: Pick<CommandUnknownOpts, "options" | "getOptionValueSource">): void {
  const given = (name: string) => command.getOptionValueSource(name) === "cli";
  const stray = (given("nats") ? OF_STAGES : OF_POOL).find(given);
  if (stray === undefined) return;
  const flag = command.options.find((option) => option.attributeName() === stray)!.long;
  const why = given("nats")
    ? "with --nats: each stage of the pool has its own"
    : "without --nats, the broker of a pool";
  throw new InvalidArgumentError(`Cannot use ${flag} ${why}`);
}

/** What of the flags `load()` wants; nothing without `--nats`. */
export function toPoolOptions(flags: ServePoolFlags): Pick<LoadOptions, "pool"> {
  const { nats, pool: name, direct } = toPool(flags) ?? {};
  if (nats === undefined || name === undefined || direct === undefined) return {};
  const { poolTimeout = 30, activations = "f32" } = flags;
  return { pool: { nats, name, direct, activations, timeoutMillis: poolTimeout * 1000 } };
}

/** The flags of a member of a pool that takes part in its routes: which pool it is, and where others reach it. */
import { type CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import type { JoinSettings } from "../mod.ts";
import { integer, matching } from "./args.ts";
import { type NatsFlags, natsFlags, toNatsOptions } from "./nats_flags.ts";

/** Reads a pool's name, which is a part of subjects. */
export const poolName = matching(/^[A-Za-z0-9_-]{1,64}$/, 'a name of letters, digits, "-" and "_"');

/** Adds them to a command, those for the broker among them. Its action's flags are {@linkcode PoolFlags} too. */
export function poolFlags<C>(command: C): C {
  // Not its own type, as natsFlags() says.
  const plain = command as unknown as CommandUnknownOpts;
  plain.addOption(
    new Option("--pool <name>", "the pool's name (default: default)").argParser(poolName).helpGroup("Pool:"),
  );
  plain.addOption(
    new Option("--advertise <host>", "address under which others reach it; may be repeated (default: all its own)")
      .argParser((text, all: string[] = []) => [...all, text]).helpGroup("Pool:"),
  );
  plain.addOption(
    new Option("--link-port <n>", "port to listen on for others (default: a free one)").argParser(integer(0, 65535))
      .helpGroup("Pool:"),
  );
  plain.addOption(new Option("--no-direct", "reach others by way of the broker only").helpGroup("Pool:"));
  return natsFlags(command);
}

/** All may be missing, so what a command's action gets is one of these. */
export interface PoolFlags extends NatsFlags {
  readonly pool?: string;
  readonly advertise?: readonly string[];
  readonly linkPort?: number;
  readonly direct?: boolean;
}

/** Null without `--nats`. */
export function toPool(flags: PoolFlags): Required<Pick<JoinSettings, "nats" | "pool" | "direct">> | null {
  const nats = toNatsOptions(flags);
  const { pool = "default", advertise: hosts = [], linkPort: port = 0, direct = true } = flags;
  return nats && { nats, pool, direct: direct ? { port, hosts } : null };
}

/** The flags that lead a member of a pool to its broker. */
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { NatsOptions } from "../pool/nats_options.ts";
import { given } from "./args.ts";

const GROUP = "NATS:";

/** Adds them to a command; without `--nats` it has no pool. */
export function natsFlags<Args extends unknown[], Flags extends Record<string, unknown>>(
  command: Command<Args, Flags>,
) {
  return command
    .addOption(
      new Option("--nats <url>", "broker of the pool, as nats://host:4222; tls:// if it must encrypt")
        .argParser(brokerUrl).helpGroup(GROUP),
    )
    .addOption(new Option("--nats-user <name>", "user at the broker").helpGroup(GROUP))
    .addOption(new Option("--nats-password-file <file>", "the user's password").helpGroup(GROUP))
    .addOption(new Option("--nats-token-file <file>", "token for the broker").helpGroup(GROUP))
    .addOption(new Option("--nats-creds <file>", "credentials for the broker, a JWT and its seed").helpGroup(GROUP))
    .addOption(new Option("--nats-ca <file>", "who signs the broker's certificate (PEM)").helpGroup(GROUP))
    .addOption(new Option("--nats-cert <file>", "certificate to show the broker (PEM)").helpGroup(GROUP))
    .addOption(new Option("--nats-key <file>", "key of that certificate (PEM)").helpGroup(GROUP));
}

export interface NatsFlags {
  readonly nats?: string;
  readonly natsUser?: string;
  readonly natsPasswordFile?: string;
  readonly natsTokenFile?: string;
  readonly natsCreds?: string;
  readonly natsCa?: string;
  readonly natsCert?: string;
  readonly natsKey?: string;
}

/**
 * @returns null without `--nats`
 * @throws InvalidArgumentError for flags that say nothing without another
 */
export function toNatsOptions(flags: NatsFlags): NatsOptions | null {
  const { nats: url, natsUser: user, natsPasswordFile, natsTokenFile, natsCreds, natsCa, natsCert, natsKey } = flags;
  const files = { passwordFile: natsPasswordFile, tokenFile: natsTokenFile, credsFile: natsCreds, caFile: natsCa };
  const options = given({ user, ...files, certFile: natsCert, keyFile: natsKey });
  if (url === undefined) {
    if (Object.keys(options).length === 0) return null;
    throw new InvalidArgumentError("Cannot use flags for the broker without --nats, which says where it is");
  }
  if ((natsCert === undefined) !== (natsKey === undefined)) {
    throw new InvalidArgumentError("Cannot use --nats-cert without --nats-key, or the other way round");
  }
  return { url, ...options };
}

function brokerUrl(text: string): string {
  const urls = text.split(",").map((part) => part.trim());
  if (urls.every((url) => /^(nats|tls):\/\/[^/\s]+\/?$/.test(url) && URL.canParse(url))) return urls.join(",");
  throw new InvalidArgumentError("It must be like nats://host:4222 or tls://host:4222, several behind commas.");
}

/** The flags that lead a member of a pool to its broker. */
import { type CommandUnknownOpts, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { NatsOptions } from "../pool/nats_options.ts";
import { given } from "./args.ts";

const GROUP = "NATS:";

const OPTIONS = [
  new Option("--nats <url>", "broker of the pool, as nats://host:4222; tls:// if it must encrypt").argParser(brokerUrl),
  new Option("--nats-user <name>", "user at the broker"),
  new Option("--nats-password-file <file>", "the user's password"),
  new Option("--nats-token-file <file>", "token for the broker"),
  new Option("--nats-creds <file>", "credentials for the broker, a JWT and its seed"),
  new Option("--nats-ca <file>", "who signs the broker's certificate (PEM)"),
  new Option("--nats-cert <file>", "certificate to show the broker (PEM)"),
  new Option("--nats-key <file>", "key of that certificate (PEM)"),
];

/**
 * Adds them to a command, whose action hears of them as {@linkcode NatsFlags}; without `--nats` it has no pool. The command's type does not
 * tell of them: the compiler took minutes to add up so many.
 */
export function natsFlags<C extends CommandUnknownOpts>(command: C): C {
  for (const option of OPTIONS) command.addOption(option.helpGroup(GROUP));
  return command;
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

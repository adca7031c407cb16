/** The flags that lead a member of a pool to its broker. */
import { type CommandUnknownOpts, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { NatsOptions } from "../pool/nats_options.ts";
import { given } from "./args.ts";

/** Adds them to a command; without `--nats` it has no pool. Its action's flags are {@linkcode NatsFlags} too. */
export function natsFlags<C>(command: C): C {
  const add = (flags: string, description: string) => {
    const option = new Option(flags, description).helpGroup("NATS:");
    if (flags.startsWith("--nats ")) option.argParser(brokerUrl);
    // Not its own type: compilers take minutes to add to that of a long command whose flags they are told one by one.
    (command as unknown as CommandUnknownOpts).addOption(option);
  };
  add("--nats <url>", "broker of the pool, as nats://host:4222; tls:// if it must encrypt");
  add("--nats-user <name>", "user at the broker");
  add("--nats-password-file <file>", "the user's password");
  add("--nats-token-file <file>", "token for the broker");
  add("--nats-creds <file>", "credentials for the broker, a JWT and its seed");
  add("--nats-ca <file>", "who signs the broker's certificate (PEM)");
  add("--nats-cert <file>", "certificate to show the broker (PEM)");
  add("--nats-key <file>", "key of that certificate (PEM)");
  return command;
}

/** All may be missing, so what a command's action gets is one of these. */
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

/** Flags that lead to a broker become options for its client, and what says nothing without another is refused. */
import { strict as assert } from "node:assert";
import { Command } from "@commander-js/extra-typings";
import { type NatsFlags, natsFlags, toNatsOptions } from "../../src/cli/nats_flags.ts";

function parse(...args: readonly string[]) {
  const command = natsFlags(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  return toNatsOptions(command.parse(args, { from: "user" }).opts() as NatsFlags);
}

Deno.test("toNatsOptions() tells where the broker is and who we are", () => {
  assert.equal(parse(), null);
  assert.deepEqual(parse("--nats", "nats://a:4222, tls://[::1]:4223"), { url: "nats://a:4222,tls://[::1]:4223" });
  assert.deepEqual(
    parse(...[
      "--nats",
      "nats://user:word@a",
      "--nats-user",
      "b",
      "--nats-password-file",
      "c",
      "--nats-token-file",
      "d",
    ]),
    { url: "nats://user:word@a", user: "b", passwordFile: "c", tokenFile: "d" },
  );
  assert.deepEqual(
    parse(...["--nats", "tls://a", "--nats-creds", "b", "--nats-ca", "c", "--nats-cert", "d", "--nats-key", "e"]),
    { url: "tls://a", credsFile: "b", caFile: "c", certFile: "d", keyFile: "e" },
  );
});

Deno.test("flags for a broker are refused that are no address, or say nothing without another", () => {
  for (const url of ["a:4222", "http://a", "nats://", "nats://a/b", "nats://a,b", "ws://a"]) {
    assert.throws(() => parse("--nats", url), /It must be like nats:\/\/host:4222/, url);
  }
  assert.throws(() => parse("--nats-user", "a"), /without --nats, which says where it is/);
  assert.throws(() => parse("--nats", "nats://a", "--nats-cert", "b"), /--nats-cert without --nats-key/);
  assert.throws(() => parse("--nats", "nats://a", "--nats-key", "b"), /--nats-cert without --nats-key/);
});

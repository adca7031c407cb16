/** Every member of a pool that its broker does not let in ends, with one sentence that says why. Computes on WASM. */
import { strict as assert } from "node:assert";
import { NatsServer, NO_NATS } from "../nats_server.ts";
import { ran } from "./process.ts";

const MEMBERS: readonly (readonly string[])[] = [
  ["stage", "--backend", "wasm", "--layers", "0-1"],
  ["serve", "--port", "0"],
  ["pool", "--once"],
];

for (const member of MEMBERS) {
  Deno.test({
    name: `ringlet ${member[0]} ends with one sentence where its password is wrong`,
    ignore: NO_NATS !== null,
    async fn() {
      await using server = await NatsServer.start("authorization { user: ring, password: secret }");
      const passwordFile = await Deno.makeTempFile();
      await Deno.writeTextFile(passwordFile, "guess");
      const flags = ["--nats", server.url, "--nats-user", "ring", "--nats-password-file", passwordFile];
      const { code, err } = await ran(...member, ...flags);
      await Deno.remove(passwordFile);
      assert.equal(code, 1);
      assert.equal(
        err.trimEnd().split("\n").at(-1),
        `ringlet: Cannot connect to the broker at ${server.url}: it does not take the password of user ring`,
      );
    },
  });
}

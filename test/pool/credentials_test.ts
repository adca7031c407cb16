/** Secrets for the broker: read anew while their file is there, kept where it is not, and told to nobody else. */
import { strict as assert } from "node:assert";
import { connectBroker } from "../../src/pool/connection.ts";
import { connectionProblem } from "../../src/pool/connection_problem.ts";
import { authenticator } from "../../src/pool/credentials.ts";
import { NatsServer, NO_NATS } from "../nats_server.ts";

const url = "nats://broker:4222";

Deno.test("a token or password is that of its file, and the last one while there is none", async () => {
  const file = await Deno.makeTempFile();
  const ways = [{ url, tokenFile: file }, { url, user: "a", passwordFile: file }];
  await Deno.writeTextFile(file, "one\n");
  const answers = ways.map((options) => authenticator(options));
  const told = () => answers.map((answer) => answer("nonce"));
  assert.deepEqual(told(), [{ auth_token: "one" }, { user: "a", pass: "one" }]);
  await Deno.writeTextFile(file, "two\n");
  assert.deepEqual(told(), [{ auth_token: "two" }, { user: "a", pass: "two" }]);
  await Deno.remove(file);
  assert.deepEqual(told(), [{ auth_token: "two" }, { user: "a", pass: "two" }]);
  for (const options of ways) assert.throws(() => authenticator(options), /Cannot read .*there is no such file/);
});

Deno.test("what went wrong is told without the password", () => {
  const told = (url: string) => connectionProblem({ url }, null).message;
  assert.match(told("nats://user:p@ss@broker:4222"), /^Cannot connect to the broker at nats:\/\/broker:4222: /);
  assert.match(told("nats://u:p@ss@a,tls://u:p@ss@b:1"), /^Cannot connect to the broker at nats:\/\/a,tls:\/\/b:1: /);
});

Deno.test({
  name: "one tls:// among several brokers has all of them encrypt",
  ignore: NO_NATS !== null,
  async fn() {
    await using server = await NatsServer.start();
    const url = `${server.url},${server.url.replace("nats:", "tls:")}`;
    await assert.rejects(connectBroker({ url }, "stage"), /it does not encrypt, as tls:\/\//);
  },
});

/** A whole pool by processes over the broker as it is deployed: all that its members need is allowed to their roles. */
import { strict as assert } from "node:assert";
import { join } from "node:path";
import { ran, ringlet, until } from "../cli/process.ts";
import { Broker, type Role } from "./broker.ts";
import { program, testWith } from "./linters.ts";

const WASM = ["--backend", "wasm", "--threads", "1"];

testWith(
  program("nats-server"),
  "apt-get install nats-server",
  "over the deployed broker a pool takes its model from the store, answers and is watched, and nobody needs more than its role may",
  async (path) => {
    await using broker = await Broker.start(path);
    const as = (role: Role) => {
      const { url, caFile, certFile, keyFile } = broker.options(role);
      return ["--nats", url, "--nats-ca", caFile, "--nats-cert", certFile, "--nats-key", keyFile];
    };
    const pushed = await ran("pool", "push", "--model", "models/ring-nano", "--name", "nano", ...as("publish"));
    assert.equal(pushed.code, 0, pushed.err);
    const alive = join(broker.folder, "alive");
    const members = [
      ringlet("stage", "--layers", "0-4", ...WASM, ...as("stage"), "--alive-file", alive),
      ringlet("stage", "--layers", "5-9", ...WASM, ...as("stage"), "--model", "nats:nano"),
      ringlet("serve", "--port", "0", ...as("server")),
    ];
    const [notes, rest] = members[2]!.stderr.tee();
    const [, url] = await until(notes, /at (http:\S+)\n[^]*Ready/);
    const body = JSON.stringify({ prompt: "Add 4867 and 2759", max_tokens: 4 });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${url}/completions`, { method: "POST", body, headers });
    assert.equal(answer.status, 200, await answer.text());
    const watched = await ran("pool", "--json", ...as("watch"));
    assert.deepEqual(JSON.parse(watched.out).stages.map(({ state }: { state: string }) => state), [
      "serving",
      "serving",
    ]);
    assert.ok((await Deno.stat(alive)).isFile);
    for (const member of members) member.kill("SIGTERM");
    assert.deepEqual(await Promise.all(members.map(async (member) => (await member.status).code)), [0, 0, 0]);
    await Promise.all(
      [rest, ...members.slice(0, 2).map(({ stderr }) => stderr), ...members.map(({ stdout }) => stdout)].map((stream) =>
        stream.cancel()
      ),
    );
    await assert.rejects(Deno.stat(alive), Deno.errors.NotFound);
    assert.doesNotMatch(await Deno.readTextFile(join(broker.folder, "log")), /Violation/);
  },
);

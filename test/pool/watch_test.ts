/** A pool that is watched over a real broker: whoever falls silent is told of as lost, whoever leaves is not. */
import { strict as assert } from "node:assert";
import { connectBroker } from "../../src/pool/connection.ts";
import { announce } from "../../src/pool/membership.ts";
import type { Overview } from "../../src/pool/overview.ts";
import { stageKey } from "../../src/pool/protocol.ts";
import { watchPool } from "../../src/pool/watch.ts";
import { testOnBroker } from "../nats_server.ts";
import { exampleStage } from "./example_entries.ts";

testOnBroker("watchPool() tells of everybody in its first overview, and of who was lost after that", async (server) => {
  await using own = await connectBroker({ url: server.url }, "watch");
  const other = await connectBroker({ url: server.url }, "stage");
  const entry = (id: string) => (beat: number) => exampleStage(id, beat);
  await using _stays = await announce(own.nats, "default", stageKey("stays"), entry("stays"));
  const leaves = await announce(own.nats, "default", stageKey("leaves"), entry("leaves"));
  await using _silent = await announce(other.nats, "default", stageKey("silent"), entry("silent"));
  const stopping = new AbortController();
  const states = ({ stages }: Overview) => Object.fromEntries(stages.map(({ id, state }) => [id, state]));
  const seen: ReturnType<typeof states>[] = [];
  for await (const overview of watchPool(own, "default", stopping.signal)) {
    seen.push(states(overview));
    if (seen.length === 1) {
      await leaves[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
    }
    if (seen.at(-1)!.silent === "lost" || seen.length > 10) stopping.abort();
  }
  assert.deepEqual(seen[0], { leaves: "idle", silent: "idle", stays: "idle" });
  assert.deepEqual(seen[1], { silent: "idle", stays: "idle" });
  assert.deepEqual(seen.at(-1), { silent: "lost", stays: "idle" });
});

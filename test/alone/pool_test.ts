/** Pools on hosts of their own, which take both processors: the bits of one process, faults that lose nothing, and clear ends where nobody else has the layers. */
import { strict as assert } from "node:assert";
import { setTimeout } from "node:timers/promises";
import { HEARTBEAT_MILLIS, LOST_MILLIS } from "../../src/pool/protocol.ts";
import { NO_NATS } from "../nats_server.ts";
import { suffer } from "../pool/faults.ts";
import { NO_HOSTS } from "../pool/hosts.ts";
import { FOUR_RANGES, healed, type PoolShape, startPool, type TestPool } from "../pool/pool.ts";
import { ask, difference, type Question, questionsFor, type Reply } from "../pool/streams.ts";
import { runTrial } from "../pool/trial.ts";
import { startServe } from "../server/serve_process.ts";

/** Declares a test with a pool, which is on this computer alone where it cannot have hosts. */
function testPool(name: string, shape: PoolShape, fn: (pool: TestPool) => Promise<void>): void {
  const place = NO_NATS !== null ? ` (skipped: ${NO_NATS})` : NO_HOSTS !== null ? ` (nobody cut off: ${NO_HOSTS})` : "";
  Deno.test({
    name: `${name}${place}`,
    ignore: NO_NATS !== null,
    async fn() {
      await using pool = await startPool(shape);
      await fn(pool);
    },
  });
}

/** Answers to many at once, then to one that asks twice and goes on. */
async function converse(url: string): Promise<readonly Reply[]> {
  const [first, ...others] = questionsFor(8, 60) as [Question, ...Question[]];
  const atOnce = await Promise.all(others.map((question) => ask(url, question)));
  const further = { ...first, prompt: [...first.prompt, 1, 2, 3], temperature: 0.7 };
  return [...atOnce, await ask(url, first), await ask(url, first), await ask(url, further)];
}

for (const transport of ["tcp", "nats"] as const) {
  const flags = transport === "nats" ? ["--no-direct"] : [];
  const shape = { ranges: FOUR_RANGES, flags };
  testPool(`four stages on four hosts give the bits of one process, over ${transport}`, shape, async (pool) => {
    await using alone = await startServe(["--threads", "1", "--prefix-cache", "512MiB,0"]);
    const [replies, wanted] = [await converse(pool.url), await converse(alone.url)];
    assert.deepEqual(replies.map((reply, i) => difference(reply, wanted[i]!)), wanted.map(() => null));
    assert.ok(replies.at(-1)!.cached > 0, "nothing was taken from the prefix cache");
    assert.deepEqual(replies.slice(-3).map(({ cached }) => cached), wanted.slice(-3).map(({ cached }) => cached));
    const transports = async () =>
      (await pool.entries.read()).stages.flatMap(({ status }) => status.hops.map((hop) => hop.transport));
    // On a busy machine a route may have been made anew: stages tell of the old one until their next heartbeat.
    for (let i = 0; i < 5 && (await transports()).length > 4; i++) await setTimeout(HEARTBEAT_MILLIS);
    assert.deepEqual(await transports(), Array(4).fill(transport));
  });
}

testPool(
  "no stream is lost, doubled or changed by faults where each range has two hosts",
  { ranges: ["0-4", "5-9"], replicas: 2, serveFlags: ["--max-sequences", "8"] },
  async (pool) => {
    const trial = await runTrial(pool, { faults: 5, seed: 1, streams: 8, tokens: 200 });
    assert.equal(trial.suffered.length, 5);
    assert.deepEqual(trial.wrong, []);
  },
);

/** Longer than it takes until a stage is known to be lost. */
const SECONDS = 4;

testPool(
  "streams wait for the only host with their layers, and end with a clear error when that takes too long",
  { ranges: ["0-4", "5-9"], serveFlags: ["--pool-timeout", `${SECONDS}`] },
  async (pool) => {
    const [question] = questionsFor(1, 1500) as [Question];
    const whole = await ask(pool.url, question);
    assert.equal(whole.error, null);

    const during = ask(pool.url, question);
    await suffer(pool, { kind: "freeze", host: "s1a", millis: 1000, afterMillis: 300 });
    assert.equal(difference(await during, whole), null, "a moment's silence harms nothing");

    const cut = ask(pool.url, question);
    await setTimeout(300);
    const begun = performance.now();
    pool.stages[1]!.takeDown();
    const { tokens, error, ended } = await cut;
    assert.match(error ?? "", /^Nobody has layers 5-9 /);
    assert.equal(difference({ ...whole, tokens }, { ...whole, tokens: whole.tokens.slice(0, tokens.length) }), null);
    assert.ok(ended - begun < LOST_MILLIS + SECONDS * 1000 + 2000, `it ended behind ${ended - begun} ms`);
    const refused = await ask(pool.url, question);
    assert.equal(refused.status, 503);
    assert.match(refused.error ?? "", /^Nobody has layers 5-9 /);

    pool.stages[1]!.bringUp();
    await healed(pool);
    assert.equal(difference(await ask(pool.url, question), whole), null);
  },
);

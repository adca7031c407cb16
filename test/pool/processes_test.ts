/** A pool of real processes: the bits of one process, with hits of the prefix cache, also where a replica is killed in the middle of streams. */
import { strict as assert } from "node:assert";
import { load } from "../../src/mod.ts";
import { NO_NATS } from "../nats_server.ts";
import { healed, startPool } from "./pool.ts";
import { ask, difference, questionsFor } from "./streams.ts";
import { undisturbed } from "./trial.ts";

const STREAMS = 8;

Deno.test({
  name:
    "ringlet serve gives on two stages of a pool what one process gives, and when a replica is killed in the middle",
  ignore: NO_NATS !== null,
  async fn() {
    const questions = questionsFor(STREAMS, 60);
    const wanted = await undisturbed(questions);
    await using pool = await startPool({ ranges: ["0-4", "5-9"], replicas: 2 });
    await healed(pool);
    const answers = async () => {
      const replies = await Promise.all(questions.map((question) => ask(pool.url, question)));
      return { replies, wrong: replies.flatMap((reply, i) => difference(reply, wanted[i]!) ?? []) };
    };
    assert.deepEqual((await answers()).wrong, []);
    const again = await answers();
    assert.deepEqual(again.wrong, []);
    assert.ok(again.replies.some(({ cached }) => cached >= 256), "nothing came from the prefix cache");
    const whileKilled = answers();
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const victim of pool.stages.slice(1, 2)) victim.takeDown();
    assert.deepEqual((await whileKilled).wrong, []);
    assert.ok((await whileKilled).replies.every(({ tokens }) => tokens.length === 60));
    pool.server.takeDown();
    const rows = async (chat: Awaited<ReturnType<typeof load>>) =>
      await Array.fromAsync(chat.score(Uint32Array.from(questions[0]!.prompt), { logits: true }));
    await using pooled = await load({ pool: { nats: { url: pool.broker.url } } });
    await using alone = await load({ backend: "wasm", threads: 1 });
    assert.deepEqual(pooled.info.stages.map(({ layers }) => layers), [{ start: 0, end: 5 }, { start: 5, end: 10 }]);
    assert.deepEqual(await rows(pooled), await rows(alone), "the pool gives other logits");
  },
});

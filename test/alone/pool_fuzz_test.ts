/** A pool that is sent what nobody should send, on every subject and every socket: nothing ends, all is counted, and streams go on. */
import { strict as assert } from "node:assert";
import { NO_NATS } from "../nats_server.ts";
import { Crowd } from "../pool/crowd.ts";
import { fuzzSockets, fuzzSubjects } from "../pool/fuzz.ts";
import { NO_HOSTS } from "../pool/hosts.ts";
import { FOUR_RANGES, healed, startPool } from "../pool/pool.ts";
import { questionsFor } from "../pool/streams.ts";
import { undisturbed } from "../pool/trial.ts";

const MISSING = NO_NATS ?? NO_HOSTS;

/** To each subject, and to each socket. */
const COUNT = 1000;

for (const transport of ["tcp", "nats"] as const) {
  const name = `${COUNT} frames by chance to every subject and socket harm nothing and are counted, over ${transport}`;
  Deno.test({
    name: MISSING === null ? name : `${name} (skipped: ${MISSING})`,
    ignore: MISSING !== null,
    async fn() {
      const questions = questionsFor(8, 200);
      const wanted = await undisturbed(questions);
      const flags = transport === "nats" ? ["--no-direct"] : [];
      await using pool = await startPool({ ranges: FOUR_RANGES, flags });
      const crowd = new Crowd(pool.url, 4, questions, wanted);
      const sent = await fuzzSubjects(pool, COUNT);
      assert.ok(sent.size >= pool.stages.length, `${[...sent.keys()]}`);
      const opened = await Promise.all(pool.stages.map(({ host }) => fuzzSockets(host, [], COUNT)));
      if (transport === "tcp") assert.deepEqual(opened, pool.stages.map(() => COUNT));
      const url = new URL(pool.url);
      const served = await fuzzSockets(pool.server.host, [Number(url.port)], COUNT);
      assert.equal(served, transport === "tcp" ? COUNT : 0);
      await healed(pool);
      const figures = await (await fetch(`${pool.url}/metrics`)).text();
      const counted = Number(/^ringlet_pool_malformed_total (\d+)$/m.exec(figures)?.[1]);
      assert.ok(counted >= 0.9 * COUNT, `the server counted ${counted} only`);
      await crowd.leave();
      assert.deepEqual(crowd.wrong(), []);
      assert.deepEqual([...pool.stages, pool.server].flatMap(({ ends }) => ends), []);
      // Some make sense, and are refused without being counted; some connections say nothing.
      const least = 0.9 * COUNT * (transport === "tcp" ? 2 : 3);
      const { stages } = await pool.entries.read();
      for (const { offer, status } of stages) {
        assert.ok(status.malformed >= least, `${offer.host} counted ${status.malformed} only`);
      }
    },
  });
}

/** A server that is abused, in small; bench/soak.ts does so for as long and as often as one likes. */
import assert from "node:assert/strict";
import { ask, halfClosed, largeBodies, malformed, slowReaders, storm } from "../../bench/abuse.ts";
import { content, finish } from "../server/scripted_model.ts";
import { endless, type LiveServer, serveLive, until } from "../server/live_server.ts";

/** Says a word and ends where it is asked for few tokens, else it goes on for ever. */
const talkative = () =>
  serveLive((question) => question.includes("story") ? endless(content("word "), 5) : [content("a"), finish]);

/** Nothing of what was begun is left: all generations and answers have ended. */
async function settled(server: LiveServer): Promise<void> {
  await until(() => server.model.running === 0 && server.traffic.running === 0, "the end of all answers");
}

Deno.test("300 malformed requests get an error or none, never a 5xx, and leave nothing behind", async () => {
  await using server = await talkative();
  const tally = await malformed(server.port, 300);
  await settled(server);
  const statuses = Object.keys(tally).map(Number).filter((status) => !Number.isNaN(status));
  assert.ok(statuses.every((status) => status < 500), JSON.stringify(tally));
  assert.ok((tally["400"] ?? 0) > 100, JSON.stringify(tally));
  assert.ok(
    server.entries.every(({ error }) => error === undefined || `${error}`.includes("AbortError")),
    "an error was logged",
  );
});

Deno.test("bodies of 10 MB are refused, whether they say so first or not", async () => {
  await using server = await talkative();
  assert.deepEqual(await largeBodies(server.port, 6, 10_000_000), { "413": 6 });
  assert.equal(server.model.requests.length, 0);
});

Deno.test("clients that do not read, half-close, or come and go leave nothing behind and others their turn", async () => {
  await using server = await talkative();
  const resident = () => Deno.memoryUsage().rss;
  const abuse = async () => {
    const [, , tally] = await Promise.all([
      slowReaders(server.port, 10, 1000),
      halfClosed(server.port, 10, 1000),
      storm(server.port, 100, 3),
    ]);
    assert.deepEqual(tally, { came: 300 });
    await settled(server);
    assert.equal(await ask(server.port), 200);
    return resident();
  };
  const first = await abuse();
  const second = await abuse();
  assert.ok(second - first < 60e6, `from ${first} to ${second} bytes`);
  const statuses = new Set(server.entries.map(({ status }) => status));
  assert.deepEqual([...statuses].sort(), [200, 499]);
});

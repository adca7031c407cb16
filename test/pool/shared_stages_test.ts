/** An engine over routes that share stages, whose frames come at any time: routes come and go, clients leave, and every answer is what it is alone. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { RoutedPipeline } from "../../src/pool/routed_pipeline.ts";
import { LocalEngine, request } from "../engine/local_engine.ts";
import { text } from "../engine/text.ts";
import { expectedTokens, VOCABULARY } from "../stage/fake_stage.ts";
import { DEPTH, makeRoute, openStage } from "./local_stages.ts";
import { LocalNetwork } from "./local_wire.ts";

const SIZE = 4;
const NEVER = 1e9;

const turn = async (turns: number) => {
  for (let i = 0; i < turns; i++) await setImmediate();
};

/** Turns that frames take, one after the other: mostly few, and now and then many. */
function delays(seed: number): () => Promise<void> {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return turn(state >>> 28 === 0 ? 100 : state >>> 31);
  };
}

/** Two stages for the first layers and two for the last, and an engine over the routes that are made through them. */
async function open(seed: number, options: Parameters<typeof LocalEngine.open>[0]) {
  const network = new LocalNetwork(delays(seed));
  const behaviour = { pages: { layer: 0, size: SIZE, count: 1000 } };
  const firsts = [0, 1].map(() => openStage(network, { start: 0, end: 2 }, { behaviour }));
  const lasts = [0, 1].map(() => openStage(network, { start: 2, end: DEPTH }, { behaviour }));
  const all = [...firsts, ...lasts];
  let local: LocalEngine | null = null;
  let [routes, losses] = [0, 0];
  const routed = new RoutedPipeline({
    vocabulary: VOCABULARY,
    patience: NEVER,
    absence: () => "Nobody has any layers",
    onLost(_route, lost) {
      losses++;
      local?.engine.lose(lost);
    },
  });
  local = await LocalEngine.open({ ...options, through: () => routed });
  /** Through one of the first stages and one of the last. */
  const add = async (which: number) => {
    const [first, last] = [firsts[which & 1]!, lasts[which >> 1 & 1]!];
    const pipeline = await makeRoute(network, [first.host, last.host], routes++);
    const stages = [`first ${which & 1}`, `last ${which >> 1 & 1}`];
    routed.add({ pipeline, stages, deadline: () => 60_000 });
  };
  /** At either end of it, or by one of its stages. */
  const lose = async (which: number) => {
    const [{ host }, route] = [all[which & 3]!, which >> 2];
    const known = host.status.hops[route % Math.max(1, host.status.hops.length)];
    if (known) await host.answer({ type: "leave", session: "s", route: known.route });
    else routed.routes[0]?.pipeline.break("the fake is gone");
  };
  return {
    ...{ local, routed, all, add, lose },
    get losses() {
      return losses;
    },
    async [Symbol.asyncDispose]() {
      await local[Symbol.asyncDispose]();
      routed[Symbol.dispose]();
      for (const { host } of all) host[Symbol.dispose]();
    },
  };
}

const task = fc.record({
  prompt: fc.nat(2),
  length: fc.integer({ min: 1, max: 60 }),
  maxTokens: fc.integer({ min: 1, max: 30 }),
  aborts: fc.constantFrom(false, false, true),
  turns: fc.nat(20),
});
const event = fc.record({ kind: fc.constantFrom("add", "lose"), turns: fc.nat(15), which: fc.nat(15) });
const scene = fc.record({
  tasks: fc.array(task, { minLength: 2, maxLength: 12 }),
  routes: fc.array(fc.nat(3), { minLength: 1, maxLength: 4 }),
  events: fc.array(event, { minLength: 1, maxLength: 20 }),
  seed: fc.nat(),
  stages: fc.integer({ min: 1, max: 3 }),
  stepsPerTurn: fc.integer({ min: 1, max: 3 }),
  slots: fc.integer({ min: 2, max: 6 }),
  maxRows: fc.integer({ min: 6, max: 12 }),
  count: fc.integer({ min: 0, max: 8 }),
});

Deno.test("routes that share stages give each request what it gives alone, and leave nothing behind", async () => {
  let [losses, found, cancelled] = [0, 0, 0];
  await fc.assert(
    fc.asyncProperty(scene, async ({ tasks, routes, events, seed, count, ...options }) => {
      const prefixCache = { alignment: SIZE, snapshots: count, pages: 30 };
      await using scene = await open(seed, { ...options, prefixCache, context: 300 });
      const { local, routed, all, add, lose } = scene;
      for (const which of routes) await add(which);
      const changing = (async () => {
        for (const { kind, turns, which } of events) {
          await turn(turns);
          await (kind === "add" ? add(which) : lose(which));
          if (routed.routes.length === 0) await add(which);
        }
        await add(0); // a loss may still be on its way
      })();
      const wanted = (prompt: number, length: number, maxTokens: number) =>
        expectedTokens(DEPTH, text(prompt, length), maxTokens);
      for (const [id, { prompt, length, maxTokens, aborts, turns }] of tasks.entries()) {
        local.engine.generate(id, request(text(prompt, length), { maxTokens }));
        await turn(turns);
        if (aborts) local.engine.abort(id);
      }
      await changing;
      for (const [id, { prompt, length, maxTokens }] of tasks.entries()) {
        const { reason, finish, tokens, stats } = await local.end(id);
        assert.equal(reason, null);
        if (finish === "abort") cancelled++;
        else assert.deepEqual(tokens, wanted(prompt, length, maxTokens));
        found += stats!.cachedTokens;
      }
      losses += scene.losses;
      for (const { pipeline } of routed.routes) pipeline.break("it is over");
      for (let i = 0; i < 200 && all.some(({ host }) => host.status.hops.length + host.status.queue > 0); i++) {
        await turn(1);
      }
      assert.deepEqual(all.map(({ host, model }) => [host.status.queue, model.pagesUsed]), all.map(() => [0, 0]));
    }),
    { numRuns: 100, endOnFailure: true, timeout: 20_000 },
  );
  assert.ok(losses > 100, `${losses} losses`);
  assert.ok(found > 50, `${found} tokens were found`);
  assert.ok(cancelled > 50, `${cancelled} were cancelled`);
});

/** The engine with a second tier of the prefix cache: the same answers, copies and loads between the steps of others. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expectedTokens, type FakeBehaviour } from "../stage/fake_stage.ts";
import { LocalEngine, request } from "./local_engine.ts";
import { text } from "./text.ts";

const DEPTH = 3;
/** Tokens of an answer. */
const LENGTH = 9;
const SIZE = 4;
/** Two pages are copied at once. */
const PAGE_BYTES = 2 ** 23;

Deno.test("Engine gives the same answers with a second tier: turns, edits, evictions, aborts, preemptions, copies that fail", async () => {
  const branch = fc.record({
    from: fc.nat(20),
    cut: fc.nat(30),
    grow: fc.integer({ min: 1, max: 30 }),
    seed: fc.nat(3),
  });
  const scene = fc.record({
    branches: fc.array(fc.record({ branch, abort: fc.integer({ min: 0, max: 9 }), turns: fc.nat(6) }), {
      minLength: 6,
      maxLength: 20,
    }),
    stages: fc.integer({ min: 1, max: 3 }),
    slots: fc.integer({ min: 1, max: 3 }),
    maxRows: fc.integer({ min: 3, max: 12 }),
    count: fc.integer({ min: 1, max: 3 }),
    pages: fc.integer({ min: 8, max: 30 }),
    most: fc.constantFrom(70, 1000),
    host: fc.record({ states: fc.integer({ min: 2, max: 10 }), pages: fc.integer({ min: 20, max: 100 }) }),
    copies: fc.option(fc.record({ layer: fc.nat(2), count: fc.nat(5) }), { nil: undefined, freq: 4 }),
  });
  let loaded = 0;
  await fc.assert(
    fc.asyncProperty(scene, async ({ branches, stages, slots, maxRows, count, pages, most, host, copies }) => {
      const prefixCache = { alignment: SIZE, snapshots: count, pages, host, pageBytes: 2 * PAGE_BYTES };
      const behaviour = { pages: { layer: 1, size: SIZE, count: most }, ...(copies && { copies }) };
      await using local = await LocalEngine.open({ stages, slots, maxRows, prefixCache, context: 260, behaviour });
      const texts: number[][] = [text(9, 30)];
      for (const [id, { branch: { from, cut, grow, seed }, abort, turns }] of branches.entries()) {
        const parent = texts[from % texts.length]!;
        const prompt = [...parent.slice(0, Math.max(1, parent.length - cut)), ...text(seed, grow)].slice(0, 200);
        texts.push([...prompt, ...expectedTokens(DEPTH, prompt, LENGTH)]);
        local.engine.generate(id, request(prompt, { maxTokens: LENGTH }));
        if (abort === 0) {
          for (let i = 0; i < turns; i++) await setImmediate();
          local.engine.abort(id);
        }
        if (abort < 5) await local.end(id);
        for (let i = 0; i < turns; i++) await setImmediate();
      }
      for (const [id] of branches.entries()) {
        const { tokens, finish, reason, stats } = await local.end(id);
        assert.equal(reason, null);
        if (finish !== "abort") assert.deepEqual(tokens, texts[id + 1]!.slice(-LENGTH));
        assert.ok(stats!.cachedTokens % SIZE === 0 && stats!.cachedTokens < texts[id + 1]!.length - LENGTH);
      }
      assert.equal(local.engine.freeSlots, slots);
      local.engine.tellStatus();
      loaded += local.status!.prefixCache.host.hits;
    }),
    { numRuns: 150 },
  );
  assert.ok(loaded > 100, `loaded ${loaded} times`);
});

Deno.test("Engine loads a prompt between the steps of others, a few pages at once, and keeps it on the device again", async () => {
  const prefixCache = {
    ...{ alignment: SIZE, snapshots: 2, pages: 40, pageBytes: PAGE_BYTES, stateBytes: 1 },
    host: { states: 8, pages: 80 },
  };
  await using local = await LocalEngine.open({ slots: 2, maxRows: 64, context: 400, prefixCache });
  let id = 0;
  const ask = async (prompt: number[]) => {
    local.engine.generate(++id, request(prompt, { maxTokens: 3 }));
    const { stats, tokens } = await local.end(id);
    assert.deepEqual(tokens, expectedTokens(DEPTH, prompt, 3));
    for (let i = 0; i < 50; i++) await setImmediate();
    return stats!.cachedTokens;
  };
  const kept = () => {
    local.engine.tellStatus();
    return local.status!.prefixCache;
  };
  const [first, others] = [text(1, 65), [2, 3, 4].map((seed) => text(seed, 65))];
  await ask(first);
  for (const other of others) await ask(other);
  assert.ok(kept().host.bytes > 0 && kept().device.bytes === 2 + PAGE_BYTES * 16, JSON.stringify(kept()));
  const steps = local.status!.steps;
  assert.equal(await ask([...first, 7]), 64);
  assert.deepEqual([kept().host.hits, local.status!.steps - steps], [1, 8 + 3], "16 pages by twos, and 3 tokens");
  assert.equal(await ask([...first, 8]), 64);
  assert.deepEqual([kept().host.hits, kept().device.hits], [1, 1]);
});

Deno.test("Engine replaces no copy while a sequence is loaded from it", async () => {
  const host = { states: 2, pages: 60 };
  const prefixCache = { alignment: SIZE, snapshots: 1, pages: 40, host, pageBytes: 2 * PAGE_BYTES };
  await using local = await LocalEngine.open({ slots: 4, maxRows: 8, context: 200, prefixCache });
  const turns = async (count: number) => {
    for (let i = 0; i < count; i++) await setImmediate();
  };
  const [long, short] = [text(1, 81), text(2, 9)];
  for (const [id, prompt] of [long, short].entries()) {
    local.engine.generate(id, request(prompt, { maxTokens: 1 }));
    await local.end(id);
    await turns(30);
  }
  local.engine.generate(2, request([1, 2, 3], { maxTokens: 80 }));
  local.engine.generate(3, request([...long, 7], { maxTokens: 1 }));
  await turns(4); // some of its twenty pages are loaded
  local.engine.generate(4, request([...short, 7], { maxTokens: 1 })); // which uses the other copy after it
  local.engine.generate(5, request(text(3, 9), { maxTokens: 1 })); // which is to be copied in place of one
  const { reason, stats, tokens } = await local.end(3);
  assert.deepEqual([reason, stats?.cachedTokens, tokens], [null, 80, expectedTokens(DEPTH, [...long, 7], 1)]);
  assert.ok(local.outcome(5).stats && !local.outcome(2).stats, "it came between, and others decoded");
});

Deno.test("Engine copies nothing of a step that fails, though all that wait for it have left", async () => {
  const prefixCache = { alignment: SIZE, snapshots: 1, pages: 40, host: { states: 8, pages: 80 } };
  for (let turns = 0; turns < 6; turns++) {
    const behaviour: { at?: FakeBehaviour["at"] } = {};
    await using local = await LocalEngine.open({
      stages: 3,
      maxRows: 4,
      prefixCache,
      behaviour: behaviour as FakeBehaviour,
    });
    const ask = (id: number, prompt: number[]) => local.engine.generate(id, request(prompt, { maxTokens: 1 }));
    const rest = async (count: number) => {
      for (let i = 0; i < count; i++) await setImmediate();
    };
    ask(0, text(1, 17));
    await rest(30); // its pages are copied, with the states behind the last one
    behaviour.at = { layer: 2, position: 2, act: "throw" };
    const other = [...text(1, 5), 1, 2, 3];
    ask(1, other);
    await rest(turns);
    local.engine.abort(1);
    await rest(30);
    delete behaviour.at;
    ask(2, other);
    const { reason, tokens } = await local.end(2);
    assert.deepEqual([reason, tokens], [null, expectedTokens(DEPTH, other, 1)], `left after ${turns} turns`);
  }
});

Deno.test("Engine copies in place of a chunk of a prompt, so that streams wait for one of both", async () => {
  const host = { states: 20, pages: 200 };
  const prefixCache = { alignment: SIZE, snapshots: 2, pages: 60, host, pageBytes: 2 * PAGE_BYTES };
  await using local = await LocalEngine.open({ slots: 2, maxRows: 4, context: 200, prefixCache });
  const [stage] = local.models;
  let turns = "";
  const { forward, store } = stage!;
  stage!.forward = (step, input) => {
    turns += step.segments.every(({ rows }) => rows === 1) ? "d" : "c";
    return forward.call(stage, step, input);
  };
  stage!.store = (one) => {
    turns += "s";
    return store.call(stage, one);
  };
  local.engine.generate(0, request([1, 2, 3], { maxTokens: 90 }));
  local.engine.generate(1, request(text(1, 81), { maxTokens: 1 }));
  await local.end(1);
  assert.match(turns, /cdsdcdsdcdsdc/);
  assert.doesNotMatch(turns, /cs|sc|ss/, "each waits for a step that decodes");
});

Deno.test("Engine lets all that is under way in several stages end before it copies, and goes on afterwards", async () => {
  const host = { states: 20, pages: 200 };
  const prefixCache = { alignment: SIZE, snapshots: 2, pages: 60, host, pageBytes: 2 * PAGE_BYTES };
  await using local = await LocalEngine.open({ stages: 3, slots: 4, maxRows: 4, context: 200, prefixCache });
  const { pipeline } = local;
  const [run, store] = [pipeline.run.bind(pipeline), pipeline.store.bind(pipeline)];
  let [underWay, most, stores] = [0, 0, 0];
  pipeline.run = async (step, tokens) => {
    most = Math.max(most, ++underWay);
    return await run(step, tokens).finally(() => underWay--);
  };
  pipeline.store = async (one) => {
    stores++;
    assert.equal(underWay, 0);
    await store(one);
    assert.equal(underWay, 0);
  };
  for (const id of [0, 1, 2]) local.engine.generate(id, request([id], { maxTokens: 90 }));
  local.engine.generate(3, request(text(1, 81), { maxTokens: 1 }));
  assert.deepEqual((await local.end(3)).tokens, expectedTokens(DEPTH, text(1, 81), 1));
  assert.ok(stores > 4 && most === 3, `${stores} copies, ${most} steps at once`);
  for (const id of [0, 1, 2]) assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, [id], 90));
});

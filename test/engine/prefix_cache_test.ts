/** What the prefix cache finds, keeps and gives up; and that answers are the same with it. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { PrefixCache } from "../../src/engine/prefix_cache.ts";
import { expectedTokens } from "../stage/fake_stage.ts";
import { LocalEngine, request } from "./local_engine.ts";
import { text } from "./text.ts";

const DEPTH = 3;
const cacheOf = (count: number, pages = 100) => new PrefixCache({ alignment: 4, first: 2, count, pages });

Deno.test("PrefixCache finds the longest kept beginning, exact to the token, and leaves a token to compute", () => {
  const cache = cacheOf(3);
  const tokens = text(1, 20);
  assert.equal(cache.find(tokens), null);
  assert.equal(cache.keep(tokens, 8), 2);
  assert.equal(cache.keep(tokens, 16), 3);
  assert.equal(cache.keep(tokens, 8), null, "it is kept already");
  assert.deepEqual(cache.find(tokens), { position: 16, snapshot: 3 });
  assert.deepEqual(cache.find(tokens.slice(0, 17)), { position: 16, snapshot: 3 });
  assert.deepEqual(cache.find(tokens.slice(0, 16)), { position: 8, snapshot: 2 });
  assert.deepEqual(cache.find([...tokens.slice(0, 15), 49, 1]), { position: 8, snapshot: 2 });
  assert.equal(cache.find([...tokens.slice(0, 7), 49, ...tokens.slice(8)]), null);
  assert.equal(cache.find(tokens.slice(0, 8)), null);
});

Deno.test("PrefixCache gives up what was used longest ago, for snapshots and for pages, and says so", () => {
  const cache = cacheOf(2, 6);
  const [a, b, c] = [text(1, 20), text(2, 20), text(3, 20)];
  assert.deepEqual([cache.keep(a, 4), cache.keep(b, 4)], [2, 3]);
  cache.find(a);
  assert.equal(cache.keep(c, 8), 3);
  assert.deepEqual(cache.takeDropped(), [], "what is kept anew needs no giving up");
  assert.deepEqual([cache.find(a)?.snapshot, cache.find(b), cache.find(c)?.snapshot], [2, null, 3]);
  assert.equal(cache.keep(text(4, 30), 20), 2, "five pages and those of c are too many");
  assert.deepEqual(cache.takeDropped(), [3]);
  assert.deepEqual([cache.used.states, cache.find(c), cache.find(a)], [1, null, null]);
  assert.equal(cache.keep(text(5, 30), 28), null, "seven pages are more than there are");
  assert.equal(cache.used.states, 1, "and nothing was given up for them");
  assert.equal(cache.find(text(4, 30))?.position, 20);
  assert.equal(cacheOf(0).keep(a, 4), null);
});

Deno.test("PrefixCache finds what is kept in place of the last that was kept behind it", () => {
  const cache = cacheOf(1);
  const tokens = text(1, 13);
  assert.equal(cache.keep(tokens, 12), 2);
  assert.equal(cache.keep(tokens, 8), 2);
  assert.deepEqual(cache.find(tokens), { position: 8, snapshot: 2 });
  assert.equal(cache.keep(tokens, 4), 2);
  assert.equal(cache.keep(text(2, 13), 4), 2);
  assert.equal(cache.keep(tokens, 12), 2);
  assert.deepEqual(cache.find(tokens), { position: 12, snapshot: 2 });
});

Deno.test("PrefixCache counts a page that several texts begin with once, and gives up others before what a text goes on from", () => {
  const cache = cacheOf(4, 6);
  const system = text(1, 12);
  const [a, b, c] = [[...system, ...text(2, 8)], [...system, ...text(3, 8)], text(4, 12)];
  assert.deepEqual([cache.keep(system, 12), cache.keep(c, 4), cache.keep(a, 16), cache.keep(b, 16)], [2, 3, 4, 5]);
  assert.equal(cache.used.states, 4, "3 + 1 + 1 + 1 pages");
  assert.equal(cache.keep(b, 20), 3, "in place of c, which was used longest ago");
  assert.deepEqual([cache.used.states, cache.find(c)], [4, null]);
  assert.equal(cache.keep([...a, 1], 20), 5, "in place of both that b had, though system was kept before");
  assert.deepEqual([cache.takeDropped(), cache.find(b)?.position], [[3], 12]);
  assert.equal(cache.evict(new Set([2, 4])), true);
  assert.equal(cache.evict(new Set([2, 4])), false, "nothing else is there");
  assert.deepEqual([cache.takeDropped(), cache.find([...a, 1])?.position], [[5], 16]);
});

Deno.test("PrefixCache forgets what was not kept after all", () => {
  const cache = cacheOf(1);
  const tokens = text(1, 9);
  cache.forget(cache.keep(tokens, 8)!);
  assert.equal(cache.find(tokens), null);
  assert.deepEqual(cache.takeDropped(), [2]);
  assert.equal(cache.keep(tokens, 8), 2);
});

/** Texts that share beginnings, as turns of conversations do. */
const branch = fc.record({ from: fc.nat(20), cut: fc.nat(40), grow: fc.integer({ min: 1, max: 30 }), seed: fc.nat(3) });

Deno.test("Engine gives the same answers with a prefix cache: turns, edits, regenerations, evictions, aborts", async () => {
  const scene = fc.record({
    branches: fc.array(fc.record({ branch, abort: fc.integer({ min: 0, max: 9 }), boundary: fc.nat(60) }), {
      minLength: 2,
      maxLength: 12,
    }),
    stages: fc.integer({ min: 1, max: 3 }),
    slots: fc.integer({ min: 1, max: 3 }),
    maxRows: fc.integer({ min: 3, max: 12 }),
    count: fc.integer({ min: 1, max: 4 }),
    pages: fc.integer({ min: 1, max: 30 }),
    ahead: fc.nat(2),
  });
  let cached = 0;
  await fc.assert(
    fc.asyncProperty(scene, async ({ branches, stages, slots, maxRows, count, pages, ahead }) => {
      const prefixCache = { alignment: 4, snapshots: count, pages };
      const snapshots = stages === 1 ? ahead : 0;
      await using local = await LocalEngine.open({ stages, slots, maxRows, snapshots, prefixCache, context: 300 });
      const texts: number[][] = [text(9, 10)];
      for (const [id, { branch: { from, cut, grow, seed }, abort, boundary }] of branches.entries()) {
        const parent = texts[from % texts.length]!;
        const prompt = [...parent.slice(0, Math.max(1, parent.length - cut)), ...text(seed, grow)].slice(0, 250);
        const answer = expectedTokens(DEPTH, prompt, 5);
        texts.push([...prompt, ...answer]);
        local.engine.generate(id, request(prompt, { maxTokens: 5, boundaries: [boundary] }));
        if (abort === 0) {
          await setImmediate();
          local.engine.abort(id);
        }
        if (abort < 5) await local.end(id);
      }
      for (const [id] of branches.entries()) {
        const { tokens, finish, reason, stats } = await local.end(id);
        assert.equal(reason, null);
        if (finish !== "abort") assert.deepEqual(tokens, texts[id + 1]!.slice(-5));
        cached += stats!.cachedTokens;
        assert.ok(stats!.cachedTokens % 4 === 0 && stats!.cachedTokens < texts[id + 1]!.length - 5);
      }
      assert.equal(local.engine.freeSlots, slots);
    }),
    { numRuns: 300 },
  );
  assert.ok(cached > 1000, `only ${cached} tokens were found`);
});

Deno.test("Engine reads a new turn only, and what many have in common once", async () => {
  await using local = await LocalEngine.open({
    slots: 2,
    maxRows: 8,
    context: 400,
    prefixCache: { alignment: 4, snapshots: 20, pages: 500 },
  });
  const cachedOf = async (id: number, prompt: number[], boundaries: number[] = []) => {
    local.engine.generate(id, request(prompt, { maxTokens: 3, boundaries }));
    const { stats, tokens } = await local.end(id);
    assert.deepEqual(tokens, expectedTokens(DEPTH, prompt, 3));
    return stats!.cachedTokens;
  };
  const first = text(1, 50);
  assert.equal(await cachedOf(0, first), 0);
  const second = [...first, ...expectedTokens(DEPTH, first, 3), ...text(2, 9)];
  assert.equal(await cachedOf(1, second), 48);
  assert.equal(await cachedOf(2, [...second.slice(0, 61), 3, 3, 3]), 60, "the last token was edited");
  assert.equal(await cachedOf(3, second), 60, "once more");
  const system = text(7, 30);
  const users = [1, 2, 3, 4].map((user) => [...system, ...text(user, 40)]);
  assert.equal(await cachedOf(4, users[0]!, [30]), 0);
  for (const [i, user] of users.entries()) if (i > 0) assert.equal(await cachedOf(4 + i, user, [30]), 28);
});

Deno.test("Engine keeps nothing of a step that failed, and goes on", async () => {
  const behaviour = { at: { layer: 1, position: 9, act: "throw" } } as const;
  const prefixCache = { alignment: 4, snapshots: 4, pages: 50 };
  await using local = await LocalEngine.open({ stages: 3, maxRows: 4, behaviour, prefixCache });
  for (const id of [0, 1]) {
    local.engine.generate(id, request(text(1, 20)));
    assert.equal((await local.end(id)).reason, "the fake threw");
  }
  local.engine.generate(2, request(text(1, 9), { maxTokens: 1 }));
  const { tokens, stats } = await local.end(2);
  assert.deepEqual([tokens, stats!.cachedTokens], [expectedTokens(DEPTH, text(1, 9), 1), 8]);
});

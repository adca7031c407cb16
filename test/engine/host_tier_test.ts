/** The prefix cache's second tier: what is copied to the host's memory and when, and what is found there. */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import { loadOf } from "../../src/engine/host_tier.ts";
import { type CacheRoom, PrefixCache } from "../../src/engine/prefix_cache.ts";
import type { Store } from "../../src/pipeline/copies.ts";
import { text } from "./text.ts";

const SIZE = 4;
/** Two pages are copied at once. */
const PAGE_BYTES = 2 ** 23;

function cacheOf(changes: Partial<CacheRoom> = {}): PrefixCache {
  const host = { states: 4, pages: 30 };
  return new PrefixCache({ alignment: SIZE, first: 2, count: 2, pages: 20, host, pageBytes: PAGE_BYTES, ...changes });
}

/** Copies all that is to be copied; what was sent. */
async function copyAll({ host }: PrefixCache, idle = true): Promise<Store[]> {
  const sent: Store[] = [];
  const store = (one: Store) => Promise.resolve(void sent.push({ ...one, pages: [...one.pages] }));
  while (await host!.storeNext({ store }, idle));
  return sent;
}

Deno.test("HostTier copies what is kept page by page and the states last, before which it is not found", async () => {
  const cache = cacheOf();
  const [a, b] = [text(1, 21), text(2, 21)];
  cache.keep(a, 20);
  assert.deepEqual(cache.begin(a), { hit: { position: 20, snapshot: 2 }, stored: null });
  const sent: Store[] = [];
  const store = (one: Store) => {
    sent.push({ ...one, pages: [...one.pages] });
    assert.equal(cache.host!.find(a, 0), null);
    return Promise.resolve();
  };
  while (await cache.host!.storeNext({ store }, true));
  assert.deepEqual(sent.map(({ pages }) => pages.map(([index]) => index)), [[0, 1], [2, 3], [4], []]);
  assert.deepEqual(sent.map(({ snapshot, state }) => [snapshot, state]), [[2, null], [2, null], [2, null], [2, 0]]);
  assert.equal(cache.host!.find(a, 19)?.position, 20);
  assert.equal(cache.host!.find(a, 20), null, "the device has as much");
  cache.keep(b, 8);
  cache.keep(b, 12);
  assert.equal(cache.find(a), null);
  assert.deepEqual([cache.begin(a).stored?.position, cache.status.device.hits, cache.status.host.hits], [20, 1, 1]);
});

Deno.test("HostTier copies between steps what is more than half of what the device has room for, the oldest first", async () => {
  const states = cacheOf({ count: 4 });
  const texts = [1, 2, 3, 4].map((seed) => text(seed, 21));
  for (const one of texts.slice(0, 2)) states.keep(one, 4);
  assert.deepEqual(await copyAll(states, false), []);
  states.keep(texts[2]!, 4);
  states.begin(texts[0]!);
  assert.deepEqual((await copyAll(states, false)).map(({ snapshot }) => snapshot), [3, 3]);
  assert.ok(!states.host!.hasWork(false) && states.host!.hasWork(true));
  assert.deepEqual((await copyAll(states)).map(({ snapshot }) => snapshot), [4, 4, 2, 2]);
  assert.ok(!states.host!.hasWork(true));
  const pages = cacheOf({ count: 4, pages: 7 });
  pages.keep(texts[0]!, 12);
  assert.deepEqual(await copyAll(pages, false), []);
  pages.keep(texts[1]!, 4);
  assert.deepEqual((await copyAll(pages, false)).map(({ snapshot }) => snapshot), [2, 2, 2]);
});

Deno.test("HostTier copies a page that several texts begin with once, and loads no more at once than it copies", async () => {
  const cache = cacheOf();
  const a = text(1, 30);
  cache.keep(a, 28);
  await copyAll(cache);
  cache.keep([...a.slice(0, 12), ...text(2, 18)], 16);
  const sent = await copyAll(cache);
  assert.deepEqual(sent.flatMap(({ pages }) => pages.map(([index]) => index)), [3], "the others are there");
  const stored = cache.host!.find(a, 0)!;
  assert.deepEqual([stored.position, stored.most, stored.pages.length], [28, 8, 7]);
  const at = (start: number, rows: number) => loadOf(stored, { slot: 0, start, rows });
  assert.deepEqual(at(0, 8), { pages: stored.pages.slice(0, 2), state: null });
  assert.deepEqual(at(24, 4), { pages: stored.pages.slice(6), state: stored.state });
});

Deno.test("HostTier gives up what was used longest ago, but not what the device has too", async () => {
  const cache = cacheOf({ count: 3, host: { states: 2, pages: 30 } });
  const texts = [1, 2, 3, 4].map((seed) => text(seed, 9));
  for (const one of texts.slice(0, 3)) cache.keep(one, 8);
  const sent = await copyAll(cache);
  assert.deepEqual(sent.flatMap(({ snapshot, state }) => state === null ? [] : [snapshot]), [2, 3]);
  assert.deepEqual(await copyAll(cache), [], "the device has both as well");
  cache.keep(texts[3]!, 8);
  await copyAll(cache);
  assert.deepEqual(texts.map((one) => cache.host!.find(one, 0)?.position ?? 0), [0, 8, 8, 0], "the first gave way");
});

Deno.test("HostTier gives up what it was copying when the device does, or when there is no memory, and then takes no more", async () => {
  const cache = cacheOf();
  const texts = [1, 2, 3, 4, 5, 6].map((seed) => text(seed, 21));
  cache.keep(texts[0]!, 20);
  const store = () => Promise.resolve();
  assert.ok(await cache.host!.storeNext({ store }, true));
  assert.deepEqual(cache.host!.used, { states: 1, pages: 5 });
  cache.forget(2);
  assert.ok(!await cache.host!.storeNext({ store }, true));
  assert.deepEqual(cache.host!.used, { states: 0, pages: 0 });
  cache.keep(texts[2]!, 20);
  await copyAll(cache);
  assert.deepEqual(cache.host!.used, { states: 1, pages: 5 });
  cache.keep(texts[3]!, 20);
  assert.ok(!await cache.host!.storeNext({ store: () => Promise.reject(new Error("no memory")) }, true));
  assert.deepEqual(cache.host!.used, { states: 1, pages: 5 });
  for (const one of texts.slice(4)) {
    cache.keep(one, 20);
    await copyAll(cache);
  }
  assert.deepEqual(cache.host!.used, { states: 1, pages: 5 }, "in place of what was there");
  assert.equal(cache.host!.find(texts[4]!, 0)?.position, 20);
});

Deno.test("HostTier finds what was copied of a text and nothing else, whatever is kept, given up and forgotten", async () => {
  const act = fc.record({
    act: fc.constantFrom("keep", "keep", "keep", "copy", "copy", "copy all", "evict", "evict all", "forget", "fail"),
    seed: fc.nat(2),
    cut: fc.constantFrom(0, 12, 24),
    depth: fc.integer({ min: 1, max: 8 }),
  });
  const scene = fc.record({
    acts: fc.array(act, { minLength: 20, maxLength: 60 }),
    count: fc.integer({ min: 1, max: 4 }),
    pages: fc.integer({ min: 2, max: 16 }),
    host: fc.record({ states: fc.integer({ min: 1, max: 6 }), pages: fc.integer({ min: 1, max: 20 }) }),
  });
  let found = 0;
  await fc.assert(
    fc.asyncProperty(scene, async ({ acts, count, pages, host }) => {
      const cache = cacheOf({ count, pages, host });
      // Which tokens each snapshot and copy has seen.
      const [device, states, copies]: [string[], string[], string[]] = [[], [], []];
      const store = (whole: boolean) => ({ snapshot, pages, state }: Store) => {
        const seen = device[snapshot]!.split(",");
        for (const [n, copy] of pages) copies[copy] = seen.slice(0, (n + 1) * SIZE).join();
        if (state !== null) states[state] = device[snapshot]!;
        return whole ? Promise.resolve() : Promise.reject(new Error("no memory"));
      };
      for (const { act, seed, cut, depth } of acts) {
        const tokens = [...text(seed, cut), ...text(seed + 1, 40)].slice(0, 33);
        if (act === "keep") {
          const snapshot = cache.keep(tokens, depth * SIZE);
          if (snapshot !== null) device[snapshot] = tokens.slice(0, depth * SIZE).join();
        } else if (act === "copy") await cache.host!.storeNext({ store: store(true) }, cut > 0);
        else if (act === "fail" && cut + seed === 0) await cache.host!.storeNext({ store: store(false) }, true);
        else if (act === "copy all") { while (await cache.host!.storeNext({ store: store(true) }, true)); }
        else if (act === "evict") cache.evict();
        else if (act === "evict all") { while (cache.evict()); }
        else if (act === "forget") cache.forget(2 + seed);
        const stored = cache.begin(tokens).stored;
        if (stored === null) continue;
        found++;
        assert.equal(states[stored.state], tokens.slice(0, stored.position).join());
        assert.deepEqual(
          stored.pages.map((copy) => copies[copy]),
          stored.pages.map((_, n) => tokens.slice(0, (n + 1) * SIZE).join()),
        );
        assert.ok(states.length <= host.states && copies.length <= host.pages, "more than there is room for");
      }
      const { used } = cache.host!;
      assert.ok(used.states <= host.states && used.pages <= host.pages);
      await copyAll(cache); // which comes to an end
    }),
    { numRuns: 300 },
  );
  assert.ok(found > 500, `found ${found} times`);
});

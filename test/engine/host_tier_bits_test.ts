/** On real models: an answer has the same bits when its prompt went to the host's memory and came back. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import { testOnBackends, testOnWasm } from "../backend/backends.ts";
import { random } from "../backend/case_maker.ts";
import { request } from "./local_engine.ts";
import { ModelEngine, VOCABULARY } from "./model_engine.ts";

const SAMPLING = { ...request([]).sampling, temperature: 1, topK: 30 };
const next = random(11);
const nat = (below: number) => Math.floor((next() + 1) / 2 * below);
const words = (count: number) => Array.from({ length: count }, () => nat(VOCABULARY));
const asked = (prompt: readonly number[], seed = 1) =>
  request(prompt, { maxTokens: 4, logprobs: 3, sampling: { ...SAMPLING, seed } });

testOnBackends("an answer has the same bits when its prompt is loaded from the host's memory", async (backend) => {
  const sizes = { snapshots: 1, cachedPages: 3, context: 1024, host: { states: 4, pages: 8 } };
  await using engine = await ModelEngine.open(backend, sizes);
  const [one, other] = [asked(words(530)), asked(words(260))];
  const first = await engine.answer(one);
  await engine.copied();
  await engine.answer(other);
  const again = await engine.answer(one);
  assert.deepEqual([again.tokens, again.stats.cachedTokens], [first.tokens, 512]);
  assert.deepEqual(engine.status.prefixCache.host.hits, 1);
});

for (const stages of [1, 2]) {
  testOnWasm(
    `answers have the same bits with a second tier of ${stages} stages, whatever leaves the first one, and when`,
    async (wasm) => {
      await using plain = await ModelEngine.open(wasm, { stages });
      const cached = { snapshots: 2, cachedPages: 5, pages: 14, host: { states: 6, pages: 14 } };
      await using tiers = await ModelEngine.open(wasm, {
        stages,
        slots: 2,
        ...cached,
        known: false,
        deterministic: true,
      });
      const texts = [words(700), words(300)];
      for (let turn = 0; turn < 20; turn++) {
        const requests = Array.from({ length: 1 + nat(2) }, (_, i) => {
          const parent = texts[nat(texts.length)]!;
          return asked(
            [...parent.slice(0, Math.max(1, parent.length - nat(2) * nat(300))), ...words(nat(200) + 1)],
            turn + i,
          );
        });
        const aborts = nat(5) === 0;
        const answers = await Promise.all(requests.map((one, i) => tiers.answer(one, aborts && i === 0)));
        for (const [i, one] of requests.entries()) {
          if (aborts && i === 0) continue;
          assert.deepEqual(
            answers[i]!.tokens,
            (await plain.answer(one)).tokens,
            `turn ${turn}, ${one.prompt.length} tokens`,
          );
          texts.push([...one.prompt].slice(0, 1200));
        }
        if (texts.length > 6) texts.splice(nat(texts.length), 1);
        for (let turns = nat(20); turns > 0; turns--) await setImmediate(); // so that some is copied
      }
      const { prefixCache: { device, host } } = tiers.status;
      assert.ok(host.hits >= 3 && device.hits >= 2, `${host.hits} and ${device.hits} hits`);
    },
  );
}

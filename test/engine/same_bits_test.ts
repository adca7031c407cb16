/** On real models: an answer has the same bits whether or not its prompt was found in the prefix cache, and whoever else is answered. */
import { strict as assert } from "node:assert";
import { random } from "../backend/case_maker.ts";
import { BACKENDS, type TestedBackend, testOnBackends } from "../backend/backends.ts";
import { request } from "./local_engine.ts";
import { ModelEngine, VOCABULARY } from "./model_engine.ts";

const SAMPLING = { ...request([]).sampling, temperature: 1, topK: 30 };

/** Conversations that go on, fork, change their last words or begin anew; some are left early. */
async function compare(backend: TestedBackend, trees: number, stages: number): Promise<number> {
  const next = random(trees);
  const nat = (below: number) => Math.floor((next() + 1) / 2 * below);
  const words = (count: number) => Array.from({ length: count }, () => nat(VOCABULARY));
  const asked = (prompt: readonly number[], seed: number) =>
    request(prompt, { maxTokens: 4, logprobs: 3, sampling: { ...SAMPLING, seed } });
  await using plain = await ModelEngine.open(backend, { stages });
  await using cached = await ModelEngine.open(backend, { stages, snapshots: 5, cachedPages: 12 });
  let found = 0;
  for (let tree = 0; tree < trees; tree++) {
    const texts = [words(nat(900) + 1)];
    for (let turn = 0; turn < 3; turn++) {
      const parent = texts[nat(texts.length)]!;
      const prompt = [...parent.slice(0, Math.max(1, parent.length - nat(3) * nat(200))), ...words(nat(250) + 1)];
      const aborts = nat(8) === 0;
      const answer = await cached.answer(asked(prompt, turn), aborts);
      if (aborts) continue;
      const expected = await plain.answer(asked(prompt, turn));
      assert.deepEqual(answer.tokens, expected.tokens, `tree ${tree}, turn ${turn}, ${prompt.length} tokens`);
      found += answer.stats.cachedTokens;
      texts.push([...prompt, ...answer.tokens.map(({ id }) => id)]);
    }
  }
  return found;
}

for (const backend of BACKENDS) {
  const [trees, more] = backend.name === "wasm" ? [240, 60] : [6, 2];
  const skipped = backend.missing === null ? "" : ` (skipped: ${backend.missing})`;
  Deno.test({
    name: `cached answers have the bits of those read from the beginning on ${backend.name}${skipped}`,
    ignore: backend.missing !== null,
    fn: async () => {
      assert.ok(await compare(backend, trees, 1) > 200 * trees);
      assert.ok(await compare(backend, more, 2) > 200 * more);
    },
  });
}

testOnBackends(
  "deterministic answers have the bits that they have alone, whoever else is answered",
  async (backend) => {
    await using alone = await ModelEngine.open(backend, { context: 512 });
    await using together = await ModelEngine.open(backend, { slots: 12, context: 512, deterministic: true });
    const next = random(7);
    const requests = Array.from({ length: 20 }, (_, id) => {
      const prompt = Array.from({ length: 1 + id * 17 % 60 }, () => Math.floor((next() + 1) / 2 * VOCABULARY));
      return request(prompt, { maxTokens: 30 + id % 9, logprobs: 3, sampling: { ...SAMPLING, seed: id } });
    });
    const answers = await Promise.all(requests.map((one) => together.answer(one)));
    for (const [id, one] of requests.entries()) {
      assert.deepEqual(answers[id]!.tokens, (await alone.answer(one)).tokens, `request ${id}`);
    }
  },
);

/** On real models: an answer has the same bits whether or not its prompt was found in the prefix cache, and whoever else is answered. */
import { strict as assert } from "node:assert";
import { random } from "../backend/case_maker.ts";
import { type TestedBackend, testOnBackends } from "../backend/backends.ts";
import { request } from "./local_engine.ts";
import { type Answer, ModelEngine, VOCABULARY } from "./model_engine.ts";

const SAMPLING = { ...request([]).sampling, temperature: 1, topK: 30 };

/** Tokens of an answer that takes two pages, more or less. */
const LONG = 540;

/**
 * Conversations that go on, fork, change their last words or begin anew; some are left early. With `crowds` three are answered at once
 * now and then, at length, for which there are too few pages.
 */
async function compare(
  backend: TestedBackend,
  { trees, stages, known, crowds }: { trees: number; stages: number; known: boolean; crowds: boolean },
) {
  const next = random(trees);
  const nat = (below: number) => Math.floor((next() + 1) / 2 * below);
  const words = (count: number) => Array.from({ length: count }, () => nat(VOCABULARY));
  const asked = (prompt: readonly number[], seed: number, maxTokens: number) =>
    request(prompt, { maxTokens, logprobs: 3, sampling: { ...SAMPLING, seed } });
  await using plain = await ModelEngine.open(backend, { stages });
  const sizes = { slots: 3, snapshots: 5, cachedPages: 12, pages: 10 };
  await using cached = await ModelEngine.open(backend, { stages, ...sizes, known, deterministic: true });
  let found = 0;
  for (let tree = 0; tree < trees; tree++) {
    const texts = [words(nat(900) + 1)];
    for (let turn = 0; turn < 3; turn++) {
      const long = turn === 0 && tree % 20 === 0 && crowds;
      const requests = Array.from({ length: long ? 3 : 1 }, (_, i) => {
        const parent = texts[nat(texts.length)]!;
        const kept = parent.slice(0, Math.max(1, parent.length - nat(3) * nat(200)));
        return asked([...kept, ...words(nat(250) + 1)], turn + i, long ? LONG - nat(100) : 4);
      });
      const aborts = nat(8) === 0;
      const answers = await Promise.all(requests.map((one, i) => cached.answer(one, aborts && i === 0)));
      for (const [i, one] of requests.entries()) {
        if (aborts && i === 0) continue;
        const expected = await plain.answer(one);
        const answer = answers[i]!;
        assert.deepEqual(answer.tokens, expected.tokens, `tree ${tree}, turn ${turn}, ${one.prompt.length} tokens`);
        found += answer.stats.cachedTokens;
        texts.push([...one.prompt, ...answer.tokens.map(({ id }) => id)].slice(0, 1200));
      }
    }
  }
  return { found, preemptions: cached.status.preemptions };
}

testOnBackends(
  "cached answers have the bits of those read from the beginning, also in too few pages",
  async (backend) => {
    const [trees, more] = backend.name === "wasm" ? [240, 60] : [6, 2];
    const one = await compare(backend, { trees, stages: 1, known: true, crowds: true });
    assert.ok(one.found > 200 * trees && one.preemptions > 0, `${one.found} found, ${one.preemptions} preemptions`);
    const crowds = backend.name === "wasm"; // which takes a minute on a software GPU
    const two = await compare(backend, { trees: more, stages: 2, known: false, crowds });
    assert.ok(two.found > 200 * more, `${two.found} found`);
    assert.equal(two.preemptions > 0, crowds, `${two.preemptions} preemptions`);
  },
);

testOnBackends(
  "deterministic answers have the bits that they have alone, whoever else is answered",
  async (backend) => {
    await using alone = await ModelEngine.open(backend, { context: 512 });
    const next = random(7);
    const requests = Array.from({ length: 20 }, (_, id) => {
      const prompt = Array.from({ length: 1 + id * 17 % 60 }, () => Math.floor((next() + 1) / 2 * VOCABULARY));
      return request(prompt, { maxTokens: 30 + id % 9, logprobs: 3, sampling: { ...SAMPLING, seed: id } });
    });
    const expected: Answer[] = [];
    for (const one of requests) expected.push(await alone.answer(one));
    for (const stages of [1, 2, 3]) {
      await using together = await ModelEngine.open(backend, { stages, slots: 12, context: 512, deterministic: true });
      const answers = await Promise.all(requests.map((one) => together.answer(one)));
      for (const id of requests.keys()) {
        assert.deepEqual(answers[id]!.tokens, expected[id]!.tokens, `request ${id}, ${stages} stages`);
      }
    }
  },
);

testOnBackends("answers of up to 8 sequences have the same bits in groups on several devices", async (backend) => {
  const next = random(11);
  const nat = (below: number) => Math.floor((next() + 1) / 2 * below);
  const trunk = Array.from({ length: 300 }, () => nat(VOCABULARY));
  const requests = Array.from({ length: backend.name === "wasm" ? 24 : 9 }, (_, id) => {
    const prompt = [...trunk.slice(0, nat(300)), ...Array.from({ length: 1 + nat(9) }, () => nat(VOCABULARY))];
    const temperature = id % 4 === 3 ? 20 : 1; // by which it is drawn from the whole row
    const sampling = { ...SAMPLING, temperature, topK: id % 2 === 0 ? 30 : 0, seed: id };
    return request(prompt, { maxTokens: 1 + nat(24), logprobs: 2, sampling });
  });
  const sizes = { slots: 8, context: 512, maxRows: 64 };
  const answers = [];
  for (const stages of [1, 2, 3]) {
    await using engine = await ModelEngine.open(backend, { ...sizes, stages });
    answers.push(await Promise.all(requests.map(async (one) => (await engine.answer(one)).tokens)));
  }
  assert.deepEqual(answers.slice(1), [answers[0], answers[0]]);
});

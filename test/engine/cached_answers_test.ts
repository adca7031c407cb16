/** On real models: an answer whose prompt was found in the prefix cache has the bits of one that was read from the beginning. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import { Engine } from "../../src/engine/engine.ts";
import { Sampler } from "../../src/engine/sampler.ts";
import type { FromEngine, GeneratedToken, GenerateStats } from "../../src/pipeline/messages.ts";
import { random } from "../backend/case_maker.ts";
import { BACKENDS, type TestedBackend } from "../backend/backends.ts";
import { cut, Stages } from "../model/stages.ts";
import { openTiny } from "../model/tiny.ts";
import { joinStages } from "../pipeline/joined_stages.ts";
import { request } from "./local_engine.ts";

const PAGE = 256;
const VOCABULARY = 96;
const CONTEXT = 2048;
const SAMPLING = { ...request([]).sampling, temperature: 1, topK: 30 };

interface Answer {
  readonly tokens: readonly GeneratedToken[];
  readonly stats: GenerateStats | null;
}

/** An engine over the tiny model, asked for one answer at a time. */
async function opened(backend: TestedBackend, stages: number, cached: { snapshots: number; pages: number }) {
  const { folder } = await openTiny("base");
  const ahead = stages === 1 ? 1 : 0;
  const snapshots = cached.snapshots + ahead;
  const { pages: cachedPages } = cached;
  const models = await Stages.open(folder, backend.open, {
    ...{ layers: cut(6, stages), slots: 1, context: CONTEXT, maxRows: 512, snapshots, cachedPages },
  });
  const { pipeline } = joinStages(models.models, "local");
  let tokens: GeneratedToken[] = [];
  let ended = Promise.withResolvers<Answer>();
  const hear = (message: FromEngine) => {
    if (message.type === "token") tokens.push(message.token);
    if (message.type === "finished") ended.resolve({ tokens, stats: message.stats });
    if (message.type === "failed") ended.reject(new Error(message.reason));
  };
  const limits = { slots: 1, context: CONTEXT, maxRows: 512, vocabulary: VOCABULARY, snapshots, cachedPages };
  const prefixCache = { alignment: PAGE, snapshots: cached.snapshots };
  const engine = new Engine(pipeline, await Sampler.create(VOCABULARY), { ...limits, prefixCache }, hear);
  const stopped = engine.run(() => setImmediate());
  let id = 0;
  const answer = async (prompt: readonly number[], seed: number, aborts: boolean): Promise<Answer> => {
    tokens = [];
    ended = Promise.withResolvers<Answer>();
    engine.generate(++id, request(prompt, { maxTokens: 4, logprobs: 3, sampling: { ...SAMPLING, seed } }));
    if (aborts) {
      await setImmediate();
      engine.abort(id);
    }
    return await ended.promise;
  };
  const close = async () => {
    engine.stop();
    await stopped;
    await pipeline[Symbol.asyncDispose]();
    models[Symbol.dispose]();
  };
  return { answer, close };
}

/** Conversations that go on, fork, change their last words or begin anew; some are left early. */
async function compare(backend: TestedBackend, trees: number, stages: number): Promise<number> {
  const next = random(trees);
  const nat = (below: number) => Math.floor((next() + 1) / 2 * below);
  const words = (count: number) => Array.from({ length: count }, () => nat(VOCABULARY));
  const plain = await opened(backend, stages, { snapshots: 0, pages: 0 });
  const cached = await opened(backend, stages, { snapshots: 5, pages: 12 });
  let found = 0;
  for (let tree = 0; tree < trees; tree++) {
    const texts = [words(nat(900) + 1)];
    for (let turn = 0; turn < 3; turn++) {
      const parent = texts[nat(texts.length)]!;
      const prompt = [...parent.slice(0, Math.max(1, parent.length - nat(3) * nat(200))), ...words(nat(250) + 1)];
      const aborts = nat(8) === 0;
      const answer = await cached.answer(prompt, turn, aborts);
      if (aborts) continue;
      const expected = await plain.answer(prompt, turn, false);
      assert.deepEqual(answer.tokens, expected.tokens, `tree ${tree}, turn ${turn}, ${prompt.length} tokens`);
      found += answer.stats!.cachedTokens;
      texts.push([...prompt, ...answer.tokens.map(({ id }) => id)]);
    }
  }
  await plain.close();
  await cached.close();
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

/** Stages are lost at any moment, with all that they had: every answer is what it is without, no token is wanting and none comes twice. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { type Pipeline, StepError } from "../../src/pipeline/pipeline.ts";
import type { Runner } from "../../src/pipeline/runner.ts";
import type { Released, Step } from "../../src/pipeline/steps.ts";
import { expectedTokens } from "../stage/fake_stage.ts";
import { GREEDY, LocalEngine, request } from "./local_engine.ts";
import { anyTask, assertAsAlone } from "./random_tasks.ts";
import { text } from "./text.ts";

const DEPTH = 3;
const SIZE = 4;

/** One pipeline after the other: when one is lost the next is there at once. */
class Replaced implements Runner {
  readonly broken = new AbortController().signal;
  readonly #join: () => Pipeline;
  readonly #slots = new Set<number>();
  readonly #snapshots = new Set<number>();
  #pipeline: Pipeline;
  onLost = (_lost: Released) => {};

  constructor(join: () => Pipeline) {
    this.#join = join;
    this.#pipeline = join();
  }

  lose(): void {
    const lost = { slots: [...this.#slots], snapshots: [...this.#snapshots] };
    this.#pipeline.break("the fake is gone");
    this.#pipeline = this.#join();
    this.#slots.clear();
    this.#snapshots.clear();
    this.onLost(lost);
  }

  run(step: Step, tokens: Uint32Array) {
    for (const { slot, keep } of step.segments) {
      this.#slots.add(slot);
      if (keep !== undefined) this.#snapshots.add(keep);
    }
    return this.#lossOf(this.#pipeline.run(step, tokens));
  }

  cancel(id: number) {
    this.#pipeline.cancel(id);
  }

  logits(id: number) {
    return this.#lossOf(this.#pipeline.logits(id));
  }

  release(released: Released) {
    return this.#pipeline.release(released);
  }

  store() {
    return Promise.reject(new Error("there is no such memory"));
  }

  /** Whatever a pipeline fails with once it is lost. */
  async #lossOf<T>(asked: Promise<T>): Promise<T> {
    const pipeline = this.#pipeline;
    return await asked.catch((error) => {
      throw pipeline === this.#pipeline ? error : new StepError({ reason: error.message, lost: true });
    });
  }
}

async function open(options: Parameters<typeof LocalEngine.open>[0]) {
  let replaced: Replaced | null = null;
  const local = await LocalEngine.open({
    ...options,
    through: (join) => replaced = new Replaced(() => join().pipeline),
  });
  replaced!.onLost = (lost) => local.engine.lose(lost);
  return { local, lose: () => replaced!.lose() };
}

const scene = fc.record({
  tasks: fc.array(anyTask, { minLength: 2, maxLength: 10 }),
  losses: fc.array(fc.nat(12), { minLength: 1, maxLength: 8 }),
  stages: fc.integer({ min: 1, max: 3 }),
  stepsPerTurn: fc.integer({ min: 1, max: 3 }),
  slots: fc.integer({ min: 2, max: 6 }),
  maxRows: fc.integer({ min: 6, max: 12 }),
  count: fc.integer({ min: 0, max: 4 }),
  cachedPages: fc.integer({ min: 1, max: 30 }),
});

Deno.test("Engine gives each request what it gives alone, whenever stages are lost", async () => {
  let [begunAnew, found] = [0, 0];
  await fc.assert(
    fc.asyncProperty(scene, async ({ tasks, losses, count, cachedPages, ...options }) => {
      const prefixCache = { alignment: SIZE, snapshots: count, pages: cachedPages };
      const { local, lose } = await open({ ...options, prefixCache, context: 300 });
      await using _ = local;
      const losing = (async () => {
        for (const turns of losses) {
          for (let turn = 0; turn < turns; turn++) await setImmediate();
          lose();
        }
      })();
      found += await assertAsAlone(local, tasks, { ...options, context: 300 });
      await losing;
      assert.equal(local.engine.freeSlots, options.slots);
      local.engine.tellStatus();
      begunAnew += local.status!.preemptions;
    }),
    { numRuns: 200, endOnFailure: true },
  );
  assert.ok(begunAnew > 200, `${begunAnew} begun anew`);
  assert.ok(found > 100, `${found} tokens were found`);
});

Deno.test("Engine lets only those begin anew whose slots were lost", async () => {
  await using local = await LocalEngine.open({ slots: 3 });
  for (let id = 0; id < 3; id++) local.engine.generate(id, request([id], { maxTokens: 40 }));
  while (local.outcome(2).tokens.length < 10) await setImmediate();
  local.engine.lose({ slots: [1], snapshots: [] });
  for (let id = 0; id < 3; id++) assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, [id], 40));
  local.engine.tellStatus();
  assert.equal(local.status!.preemptions, 1);
});

Deno.test("Engine lets a sequence begin anew whose whole row is lost, in the middle of its answer", async () => {
  await using local = await LocalEngine.open();
  const hot = request([1, 2, 3], { sampling: { ...GREEDY, temperature: 50 }, maxTokens: 30 });
  const logits = local.pipeline.logits.bind(local.pipeline);
  let reads = 0;
  local.pipeline.logits = (id) =>
    ++reads === 10 ? Promise.reject(new StepError({ reason: "gone", lost: true })) : logits(id);
  local.engine.generate(0, hot);
  const { tokens, reason } = await local.end(0);
  local.pipeline.logits = logits;
  local.engine.generate(1, hot);
  assert.ok(reads > 10);
  assert.deepEqual([reason, tokens], [null, (await local.end(1)).tokens]);
});

Deno.test("Engine fails a request whose stages are lost again and again before its next token, and goes on with others", async () => {
  const { local, lose } = await open({ slots: 2 });
  await using _ = local;
  local.engine.generate(0, request(text(0, 90), { maxTokens: 5 }));
  for (let time = 0; time <= 10; time++) {
    assert.equal(local.outcome(0).reason, null);
    await setImmediate();
    lose();
  }
  const { reason, tokens } = await local.end(0);
  assert.match(reason!, /^Cannot go on: stages were lost again and again/);
  assert.deepEqual(tokens, []);
  local.engine.generate(1, request([1]));
  assert.deepEqual((await local.end(1)).tokens, expectedTokens(DEPTH, [1], 8));
});

Deno.test("Engine fails a request whose steps are lost again and again with a sentence for its client", async () => {
  const lostAlways = (pipeline: Pipeline): Runner => ({
    broken: pipeline.broken,
    run: () => Promise.reject(new StepError({ reason: "a link ended", lost: true })),
    cancel: () => {},
    release: () => Promise.resolve(),
    store: (store) => pipeline.store(store),
    logits: (id) => pipeline.logits(id),
  });
  await using local = await LocalEngine.open({ through: (join) => lostAlways(join().pipeline) });
  local.engine.generate(0, request([1, 2, 3]));
  const { reason, tokens } = await local.end(0);
  assert.deepEqual([reason, tokens], ["Cannot go on: stages were lost again and again before a next token", []]);
});

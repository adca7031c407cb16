/** Stages on devices of their own all work at once: on parts of what decodes, and on the chunks of prompts. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import type { Step } from "../../src/pipeline/steps.ts";
import { expectedTokens } from "../stage/fake_stage.ts";
import { GREEDY, LocalEngine, request } from "./local_engine.ts";

const DEPTH = 3;
const text = (seed: number, length: number) => Array.from({ length }, (_, i) => (seed * 31 + i * i * 7 + i) % 50);

/** Turns of the event loop after which nothing more happens by itself. */
const MANY_TURNS = 30;

async function turnUntil(happened: () => boolean): Promise<boolean> {
  for (let turn = 0; turn < MANY_TURNS && !happened(); turn++) await setImmediate();
  return happened();
}

/** What is seen of an engine's steps. */
class Watch {
  /** In the order in which they were sent. */
  readonly steps: Step[] = [];
  /** Steps that a stage finished though the stage before had not begun a later one. */
  readonly alone: Step[] = [];
  /** Steps that were under way together at most. */
  most = 0;
  /** Whole rows that were read while other steps were under way. */
  readsBeside = 0;
  #underWay = 0;

  /** No stage ends a step before the stage in front of it has begun a later one, unless there is none. */
  constructor({ models, pipeline }: LocalEngine) {
    const begun = models.map(() => -1);
    for (const [i, model] of models.entries()) {
      const forward = model.forward.bind(model);
      model.forward = async (step, input) => {
        begun[i] = step.id;
        if (i > 0 && !await turnUntil(() => begun[i - 1]! > step.id)) this.alone.push(step);
        return await forward(step, input);
      };
    }
    const [run, logits] = [pipeline.run.bind(pipeline), pipeline.logits.bind(pipeline)];
    pipeline.run = async (step, tokens) => {
      this.steps.push(step);
      this.most = Math.max(this.most, ++this.#underWay);
      try {
        return await run(step, tokens);
      } finally {
        this.#underWay--;
      }
    };
    pipeline.logits = (id) => {
      if (this.#underWay > 0) this.readsBeside++;
      return logits(id);
    };
  }

  /** Sequences in each step that decodes, behind prompts of one token. */
  get sizes(): number[] {
    return this.steps.map(({ segments }) => segments.length);
  }
}

for (const stages of [2, 3]) {
  Deno.test(`Engine lets ${stages} stages work at once on parts of what decodes, as many as there are stages`, async () => {
    await using local = await LocalEngine.open({ stages, slots: 2 * stages });
    const watch = new Watch(local);
    for (let id = 0; id < 2 * stages; id++) local.engine.generate(id, request([id], { maxTokens: 12 }));
    for (let id = 0; id < 2 * stages; id++) {
      assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, [id], 12));
    }
    assert.deepEqual(watch.sizes, Array(12 * stages).fill(2));
    assert.equal(watch.most, stages);
    assert.ok(watch.alone.every(({ id }) => id > 11 * stages), `alone: ${watch.alone.map(({ id }) => id)}`);
  });

  Deno.test(`Engine decodes one sequence in ${stages} stages step by step`, async () => {
    await using local = await LocalEngine.open({ stages, slots: 2 });
    const watch = new Watch(local);
    local.engine.generate(0, request([1], { maxTokens: 5 }));
    assert.deepEqual((await local.end(0)).tokens, expectedTokens(DEPTH, [1], 5));
    assert.deepEqual([watch.most, watch.steps.length], [1, 5]);
  });

  Deno.test(`Engine sends the chunks of a prompt behind each other through ${stages} stages, also on one device`, async () => {
    for (const devices of [1, stages]) {
      await using local = await LocalEngine.open({ stages, devices, maxRows: 2 });
      const watch = new Watch(local);
      local.engine.generate(0, request(text(0, 40), { maxTokens: 1 }));
      assert.deepEqual((await local.end(0)).tokens, expectedTokens(DEPTH, text(0, 40), 1));
      assert.deepEqual([watch.steps.length, watch.most], [20, stages]);
      assert.ok(watch.alone.every(({ id }) => id > 20 - stages), `alone: ${watch.alone.map(({ id }) => id)}`);
    }
  });
}

Deno.test("Engine begins nothing behind a step that decodes where all stages share a device", async () => {
  await using local = await LocalEngine.open({ stages: 2, devices: 1, slots: 5, maxRows: 8 });
  const watch = new Watch(local);
  const prompts = [[0], [1], [2], [3], text(4, 60)];
  for (const [id, prompt] of prompts.entries()) local.engine.generate(id, request(prompt, { maxTokens: 16 }));
  for (const [id, prompt] of prompts.entries()) {
    assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, prompt, 16));
  }
  assert.deepEqual(watch.sizes, [...Array(7).fill([1, 4]).flat(), 1, ...Array(9).fill(5), ...Array(6).fill(1)]);
  const waitedFor = watch.steps.filter(({ outputs }) => outputs.length > 0);
  assert.deepEqual(watch.alone, waitedFor);
});

Deno.test("Engine reads a prompt on one device while all others decode together on the other, by turns", async () => {
  await using local = await LocalEngine.open({ stages: 2, slots: 5, maxRows: 6 });
  const watch = new Watch(local);
  const prompts = [[0], [1], [2], [3], text(4, 60)];
  for (const [id, prompt] of prompts.entries()) local.engine.generate(id, request(prompt, { maxTokens: 30 }));
  for (const [id, prompt] of prompts.entries()) {
    assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, prompt, 30));
  }
  assert.deepEqual(watch.sizes.slice(0, 19), [...Array(9).fill([1, 4]).flat(), 1]);
  const left = watch.sizes.slice(19, -12); // in two groups; at last the one that was read
  assert.ok(left.length > 30 && left.every((size) => size === 2 || size === 3), `${left}`);
  assert.ok(watch.alone.every(({ id }) => id >= watch.steps.length - 10), `alone: ${watch.alone.map(({ id }) => id)}`);
});

Deno.test("Engine samples one group from whole rows while the others are under way", async () => {
  const sampling = { ...GREEDY, temperature: 50 };
  const requests = [0, 1, 2, 3, 4, 5].map((id) =>
    request(text(id, 4), { sampling: { ...sampling, seed: id }, maxTokens: 20 })
  );
  for (const stages of [2, 3]) {
    await using local = await LocalEngine.open({ stages, slots: 6 });
    const watch = new Watch(local);
    for (const [id, one] of requests.entries()) local.engine.generate(id, one);
    for (const [id, one] of requests.entries()) {
      await using alone = await LocalEngine.open();
      alone.engine.generate(0, one);
      assert.deepEqual((await local.end(id)).tokens, (await alone.end(0)).tokens);
    }
    assert.ok(watch.readsBeside > 20, `${watch.readsBeside} reads`);
  }
});

Deno.test("Engine scores a text chunk behind chunk, beside others that decode", async () => {
  await using local = await LocalEngine.open({ stages: 3, slots: 2, maxRows: 4 });
  const watch = new Watch(local);
  local.engine.generate(0, request(text(0, 3), { maxTokens: 40 }));
  local.engine.score(1, { tokens: Uint32Array.from(text(1, 40)), logits: true, chunks: [] });
  await using alone = await LocalEngine.open({ maxRows: 4 });
  alone.engine.score(0, { tokens: Uint32Array.from(text(1, 40)), logits: true, chunks: [] });
  assert.deepEqual((await local.end(1)).rows, (await alone.end(0)).rows);
  assert.deepEqual((await local.end(0)).tokens, expectedTokens(DEPTH, text(0, 3), 40));
  assert.ok(watch.readsBeside > 5 && watch.most === 3, `${watch.readsBeside} reads, ${watch.most} steps at once`);
});

Deno.test("Engine fails the group whose step failed, and no other that is under way", async () => {
  for (const layer of [0, 1, 2]) {
    const behaviour = { at: { layer, position: 14, act: "throw" } } as const;
    await using local = await LocalEngine.open({ stages: 3, slots: 6, maxRows: 12, behaviour });
    const watch = new Watch(local);
    for (let id = 0; id < 6; id++) local.engine.generate(id, request([id], { maxTokens: id === 2 ? 20 : 14 }));
    const outcomes = await Promise.all([0, 1, 2, 3, 4, 5].map((id) => local.end(id)));
    for (const [id, { tokens, reason, finish }] of outcomes.entries()) {
      assert.deepEqual([reason, finish], id === 2 ? ["the fake threw", null] : [null, "length"]);
      assert.deepEqual(tokens, expectedTokens(DEPTH, [id], 14));
    }
    assert.equal(watch.most, 3);
    assert.deepEqual([local.engine.freeSlots, local.failure], [6, null]);
  }
});

Deno.test("Engine fails all groups at once when a stage is lost", async () => {
  for (const layer of [0, 1, 2]) {
    const behaviour = { at: { layer, position: 9, act: "lose" } } as const;
    await using local = await LocalEngine.open({ stages: 3, slots: 6, behaviour });
    const watch = new Watch(local);
    for (let id = 0; id < 8; id++) local.engine.generate(id, request([id], { maxTokens: 20 }));
    assert.ok(await turnUntil(() => watch.most === 3));
    while (local.failure === null) await setImmediate();
    assert.equal(local.failure, "The engine stopped: the fake lost its device");
    for (let id = 0; id < 8; id++) {
      const { tokens, finish } = local.outcome(id);
      assert.deepEqual([tokens, finish], [expectedTokens(DEPTH, [id], tokens.length), null]);
      assert.ok(tokens.length <= 9);
    }
    assert.equal(local.engine.freeSlots, 6);
  }
});

Deno.test("Engine stops while all stages are at work", async () => {
  const local = await LocalEngine.open({ stages: 3, slots: 6, joint: "port" });
  const watch = new Watch(local);
  for (let id = 0; id < 6; id++) local.engine.generate(id, request([id], { maxTokens: 90 }));
  while (watch.steps.length < 20) await setImmediate();
  await local[Symbol.asyncDispose]();
  const steps = watch.steps.length;
  for (let turn = 0; turn < MANY_TURNS; turn++) await setImmediate();
  assert.equal(watch.steps.length, steps);
  assert.ok(steps < 6 * 90 / 2);
});

/** Two stages, the second of which holds its first step until it is let go. */
async function held(slots: number) {
  const local = await LocalEngine.open({ stages: 2, slots });
  const [begun, gate] = [[] as Step[], Promise.withResolvers<void>()];
  const [first, second] = local.models.map((model) => model.forward.bind(model));
  local.models[0]!.forward = (step, input) => {
    begun.push(step);
    return first!(step, input);
  };
  let waits = false;
  local.models[1]!.forward = async (step, input) => {
    waits = true;
    await gate.promise;
    return await second!(step, input);
  };
  local.engine.generate(0, request([1], { maxTokens: 5 }));
  assert.ok(await turnUntil(() => waits));
  assert.equal(begun.length, 1);
  return { local, begun, letGo: () => gate.resolve() };
}

Deno.test("Engine begins with a request that comes while a stage is idle, and another at work", async () => {
  const { local, begun, letGo } = await held(2);
  await using _ = local;
  local.engine.generate(1, request([2], { maxTokens: 5 }));
  assert.ok(await turnUntil(() => begun.length === 2), "it waits for the step that is under way");
  letGo();
  for (const id of [0, 1]) assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, [id + 1], 5));
});

Deno.test("Engine begins with a request that waits as soon as another is aborted whose step is under way", async () => {
  const { local, begun, letGo } = await held(1);
  await using _ = local;
  local.engine.generate(1, request([2], { maxTokens: 5 }));
  assert.ok(!await turnUntil(() => begun.length === 2));
  local.engine.abort(0);
  assert.ok(await turnUntil(() => begun.length === 2), "it waits for the step that is under way");
  letGo();
  assert.deepEqual((await local.end(1)).tokens, expectedTokens(DEPTH, [2], 5));
  assert.deepEqual(local.outcome(0).tokens, []);
});

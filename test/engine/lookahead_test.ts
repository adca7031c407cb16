/** Where the device goes on by itself, answers are what they are without that, whatever it draws. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import { Lookahead, type Predictable } from "../../src/engine/lookahead.ts";
import { Scheduler } from "../../src/engine/scheduler.ts";
import { Sequence } from "../../src/engine/sequence.ts";
import type { StepOutputs } from "../../src/engine/step_outputs.ts";
import type { Draw, Step } from "../../src/pipeline/steps.ts";
import { expectedTokens } from "../stage/fake_stage.ts";
import { GREEDY, LocalEngine, request } from "./local_engine.ts";

const DEPTH = 3;
const PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3];
const DRAW: Draw = { temperature: 1, topK: 1, topP: 1, minP: 0, u: 1 };

/** Notes the steps that an engine sends. */
function watched(local: LocalEngine): Step[] {
  const steps: Step[] = [];
  const run = local.pipeline.run.bind(local.pipeline);
  local.pipeline.run = (step, tokens) => {
    steps.push(step);
    return run(step, tokens);
  };
  return steps;
}

const further = (steps: readonly Step[]) => steps.reduce((sum, { draws = [0] }) => sum + draws.length - 1, 0);

for (const misdraws of [Infinity, 1, 2, 7]) {
  const how = misdraws === Infinity ? "right" : misdraws === 1 ? "wrong" : `wrong every ${misdraws}th time`;
  Deno.test(`Engine gives the same tokens where the device's draws are ${how}`, async () => {
    await using local = await LocalEngine.open({ slots: 3, snapshots: 6, behaviour: { misdraws } });
    const steps = watched(local);
    const prompts = [PROMPT, [1], [7, 7]];
    for (const [id, prompt] of prompts.entries()) {
      local.engine.generate(id, request(prompt, { maxTokens: 60 + 7 * id }));
    }
    for (const [id, prompt] of prompts.entries()) {
      assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, prompt, 60 + 7 * id));
    }
    assert.ok(further(steps) > 0, "it never went on");
    if (misdraws === Infinity) assert.ok(steps.length < 40, `${steps.length} steps`);
  });
}

for (const [misdraws, snapshots] of [[Infinity, 64], [61, 64], [500, 64], [500, 32]] as const) {
  const how = misdraws === Infinity ? "all right" : `wrong every ${misdraws}th time`;
  Deno.test(`Engine lets 32 sequences go on in chains, with ${snapshots} snapshots and draws ${how}`, async () => {
    await using local = await LocalEngine.open({
      slots: 32,
      maxRows: 64,
      snapshots,
      context: 400,
      behaviour: { misdraws },
    });
    const steps = watched(local);
    const prompts = Array.from({ length: 40 }, (_, id) => PROMPT.slice(id % 7).concat(id));
    const lengthOf = (id: number) => 80 + 37 * id % 200;
    for (const [id, prompt] of prompts.entries()) {
      local.engine.generate(id, request(prompt, { maxTokens: lengthOf(id) }));
    }
    await local.end(3);
    local.engine.abort(11);
    for (const [id, prompt] of prompts.entries()) {
      if (id === 11) continue;
      assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, prompt, lengthOf(id)), `answer ${id}`);
    }
    assert.equal(local.engine.freeSlots, 32);
    const chains = steps.filter(({ draws, segments }) => draws && segments.length === 32);
    const firsts = new Set(chains.map(({ segments }) => segments[0]!.before));
    assert.deepEqual([...firsts].sort(), snapshots === 64 ? [0, 32] : [0], "chains that follow keep states elsewhere");
    const resumed = steps.flatMap(({ segments }) => segments.flatMap(({ from }) => from ?? []));
    assert.equal(resumed.length > 0, misdraws < Infinity);
  });
}

for (const [slots, decodeRows] of [[8, 4], [7, 5], [40, 32]] as const) {
  for (const misdraws of [Infinity, 499, 83, 19]) {
    const how = misdraws === Infinity ? "all right" : `wrong every ${misdraws}th time`;
    Deno.test(`Engine lets ${slots} sequences go on in chains of ${decodeRows}, by turns, with draws ${how}`, async () => {
      const behaviour = { misdraws };
      await using local = await LocalEngine.open({
        slots,
        decodeRows,
        maxRows: 64,
        snapshots: 2 * decodeRows,
        context: 400,
        behaviour,
      });
      const steps = watched(local);
      const prompts = Array.from({ length: slots + 7 }, (_, id) => PROMPT.slice(id % 7).concat(id));
      const lengthOf = (id: number) => 80 + 37 * id % 200;
      for (const [id, prompt] of prompts.entries()) {
        local.engine.generate(id, request(prompt, { maxTokens: lengthOf(id) }));
      }
      await local.end(3);
      local.engine.abort(6);
      for (const [id, prompt] of prompts.entries()) {
        if (id === 6) continue;
        assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, prompt, lengthOf(id)), `answer ${id}`);
      }
      const decodes = steps.filter(({ segments }) => segments.every(({ rows }) => rows === 1));
      assert.ok(decodes.every(({ segments }) => segments.length <= decodeRows));
      const chains = steps.filter(({ draws, segments }) => draws && segments.length === decodeRows);
      const chained = chains.reduce((sum, { draws }) => sum + draws!.length, 0);
      assert.ok(chained > (misdraws === Infinity ? 100 : 10), `${chained} steps in chains`); // how long chains are is a question of time
      const resumed = steps.flatMap(({ segments }) => segments.flatMap(({ from }) => from ?? []));
      assert.equal(resumed.length > 0, misdraws < Infinity);
    });
  }
}

Deno.test("Engine samples the same answer with and without draws of the device, also where it must read a whole row", async () => {
  const samplings = [
    { ...GREEDY, temperature: 1, topK: 3 },
    { ...GREEDY, temperature: 0.5, topP: 0.9, minP: 0.01 },
    { ...GREEDY, temperature: 1 },
    { ...GREEDY, temperature: 50 },
  ];
  for (const [seed, one] of samplings.entries()) {
    const sampling = { ...one, seed };
    const answers = [];
    for (const snapshots of [0, 1, 2]) {
      await using local = await LocalEngine.open({ snapshots, context: 300 });
      const steps = watched(local);
      local.engine.generate(0, request(PROMPT, { sampling, maxTokens: 200, logprobs: 2 }));
      answers.push((await local.end(0)).tokens);
      assert.equal(further(steps) > 0, snapshots > 0);
    }
    assert.equal(answers[0]!.length, 200);
    assert.deepEqual(answers.slice(1), [answers[0], answers[0]]);
  }
});

Deno.test("Engine ends an answer within the device's steps, and closes a thought where its budget ends", async () => {
  const free = expectedTokens(DEPTH, PROMPT, 40);
  const stop = free.find((token, i) => i > 10 && free.indexOf(token) === i)!;
  await using local = await LocalEngine.open({ snapshots: 1, context: 45 });
  const end = async (id: number, changes: Parameters<typeof request>[1]) => {
    local.engine.generate(id, request(PROMPT, changes));
    return (await local.end(id)).tokens;
  };
  assert.deepEqual(await end(0, { maxTokens: 40, stopTokens: [stop] }), free.slice(0, free.indexOf(stop) + 1));
  assert.deepEqual(await end(1, { maxTokens: 40 }), free.slice(0, 35));
  const thinking = { budget: 13, end: Uint32Array.of(49, 49), close: Uint32Array.of(11, 12) };
  const begun = [...free.slice(0, 13), 11, 12];
  assert.deepEqual(await end(2, { maxTokens: 25, thinking }), [
    ...begun,
    ...expectedTokens(DEPTH, [...PROMPT, ...begun], 10),
  ]);
  assert.equal(local.engine.freeSlots, 1);
});

Deno.test("Engine hears an abort between the device's steps and takes what comes next", async () => {
  await using local = await LocalEngine.open({ slots: 2, snapshots: 2, context: 2000 });
  local.engine.generate(0, request(PROMPT, { maxTokens: 1900 }));
  while (local.outcome(0).tokens.length < 20) await setImmediate();
  local.engine.generate(1, request(PROMPT, { maxTokens: 30 }));
  assert.deepEqual((await local.end(1)).tokens, expectedTokens(DEPTH, PROMPT, 30));
  local.engine.abort(0);
  assert.equal(local.engine.freeSlots, 2);
  const { tokens } = local.outcome(0);
  assert.deepEqual(tokens, expectedTokens(DEPTH, PROMPT, tokens.length));
});

/** Predicts any number of tokens, and samples 1 each time. */
const predictable = (length: number, known = Infinity): Predictable => {
  const sequence = new Sequence(0, new Uint32Array(length));
  const draws = (most: number, behind: number) =>
    Array.from({ length: Math.max(0, Math.min(most, known - behind)) }, () => DRAW);
  return { sequence, draws, advance: () => (sequence.append(1), null) };
};

Deno.test("Lookahead goes on while steps are short, sequences few and draws known, and not at once after a wrong one", async () => {
  const lookahead = new Lookahead(new Scheduler({ slots: 2, maxRows: 2 }), 2, true);
  const steps = (all: Predictable[], millis: number, behind = 0) => lookahead.draws(all, millis, behind).length;
  const nine = [predictable(9)];
  assert.deepEqual([1, 3, 5, 10, 31, 100, Infinity].map((millis) => steps(nine, millis)), [16, 8, 5, 6, 0, 0, 0]);
  const alone = new Lookahead(new Scheduler({ slots: 2, maxRows: 2 }), 2, false);
  assert.deepEqual([5, 10, 13].map((millis) => alone.draws(nine, millis).length), [5, 2, 0]);
  assert.deepEqual(lookahead.draws([predictable(9), predictable(3, 2)], 1), Array(2).fill([DRAW, DRAW]));
  assert.equal(steps([predictable(9), predictable(9, 1)], 1), 0);
  assert.equal(steps([predictable(9, 20)], 1, 12), 8);
  assert.equal(steps([predictable(9), predictable(9), predictable(9)], 1), 0);
  assert.equal(new Lookahead(new Scheduler({ slots: 1, maxRows: 1 }), 0, true).draws(nine, 1).length, 0);
  const { sequence, ...missed } = predictable(8);
  const outputs = { count: 2, perStep: 1, drawn: () => 2, before: () => 0 } as unknown as StepOutputs;
  sequence.take(8);
  assert.equal(await lookahead.take({ sequence, ...missed }, outputs, 0), null);
  assert.deepEqual([sequence.resume, sequence.computed, sequence.pending], [0, 7, 2]);
  for (let i = 0; i < 64; i++) {
    assert.equal(steps([{ sequence, ...missed }], 1), 0);
    sequence.append(1);
  }
  assert.equal(steps([{ sequence, ...missed }], 1), 16);
});

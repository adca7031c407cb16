/** Where pages run out, sequences wait and begin again, and every answer is what it is alone. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { OutOfPagesError } from "../../src/model/kv_cache.ts";
import { expectedTokens } from "../stage/fake_stage.ts";
import { LocalEngine, request } from "./local_engine.ts";
import { text } from "./text.ts";

const DEPTH = 3;
const SIZE = 4;

/** Counts the steps for which a stage has no pages. */
function refusals({ models }: LocalEngine): () => number {
  let count = 0;
  for (const model of models) {
    const forward = model.forward.bind(model);
    model.forward = (step, input) =>
      forward(step, input).catch((error) => {
        if (error instanceof OutOfPagesError) count++;
        throw error;
      });
  }
  return () => count;
}

function preemptions(local: LocalEngine): number {
  local.engine.tellStatus();
  return local.status!.preemptions;
}

interface Task {
  readonly kind: string;
  readonly prompt: number;
  readonly length: number;
  readonly maxTokens: number;
  readonly turns: number;
}

const task: fc.Arbitrary<Task> = fc.record({
  kind: fc.constantFrom("generate", "generate", "generate", "score", "think", "abort"),
  prompt: fc.nat(3),
  length: fc.integer({ min: 1, max: 60 }),
  maxTokens: fc.integer({ min: 1, max: 40 }),
  turns: fc.nat(6),
});
const scene = fc.record({
  tasks: fc.array(task, { minLength: 2, maxLength: 12 }),
  stages: fc.integer({ min: 1, max: 3 }),
  stepsPerTurn: fc.integer({ min: 1, max: 5 }),
  slots: fc.integer({ min: 3, max: 6 }),
  maxRows: fc.integer({ min: 6, max: 12 }),
  count: fc.integer({ min: 0, max: 4 }),
  cachedPages: fc.integer({ min: 1, max: 30 }),
  pages: fc.integer({ min: 25, max: 35 }),
  limited: fc.nat(2),
  ahead: fc.nat(2),
});

/** Tokens that are forced at once: they are read in one chunk. */
const CLOSE = [11, 12, 13];

function expected({ kind, prompt, length, maxTokens }: Task): number[] {
  const tokens = text(prompt, length);
  if (kind !== "think") return expectedTokens(DEPTH, tokens, maxTokens);
  const begun = [...expectedTokens(DEPTH, tokens, 2), ...CLOSE].slice(0, maxTokens);
  return [...begun, ...expectedTokens(DEPTH, [...tokens, ...begun], maxTokens - begun.length)];
}

for (const known of [true, false]) {
  Deno.test(`Engine gives each request what it gives alone in too few pages, ${known ? "which it knows of" : "which it finds out"}`, async () => {
    let [preempted, refused, found] = [0, 0, 0];
    await fc.assert(
      fc.asyncProperty(scene, async ({ tasks, count, cachedPages, pages, limited, ahead, ...options }) => {
        const prefixCache = { alignment: SIZE, snapshots: count, pages: cachedPages };
        const behaviour = { pages: { layer: limited, size: SIZE, count: pages } };
        const snapshots = options.stages === 1 ? ahead : 0;
        await using local = await LocalEngine.open({
          ...options,
          ...(known ? { pages } : {}),
          ...{ snapshots, prefixCache, behaviour, context: 300 },
        });
        const wanting = refusals(local);
        for (const [id, { kind, prompt, length, maxTokens, turns }] of tasks.entries()) {
          const tokens = text(prompt, length);
          const thinking = { budget: 2, end: Uint32Array.of(49, 49), close: Uint32Array.from(CLOSE) };
          if (kind === "score") {
            local.engine.score(id, { tokens: Uint32Array.from(tokens), logits: false, chunks: [3, 1, 5] });
          } else local.engine.generate(id, request(tokens, { maxTokens, ...(kind === "think" && { thinking }) }));
          for (let turn = 0; turn < turns; turn++) await setImmediate();
          if (kind === "abort") local.engine.abort(id - 1);
        }
        for (const [id, one] of tasks.entries()) {
          const { tokens, rows, finish, reason, stats } = await local.end(id);
          assert.equal(reason, null);
          found += stats!.cachedTokens;
          if (one.kind !== "score") {
            assert.deepEqual(tokens, expected(one).slice(0, finish === "abort" ? tokens.length : undefined));
          }
          const scored = rows.flatMap(({ first, logprobs }) => Array.from(logprobs, (_, i) => first + i));
          if (one.kind === "score" && finish !== "abort") {
            assert.deepEqual(
              scored,
              Array.from({ length: one.length }, (_, i) => i),
            );
          }
        }
        assert.equal(local.engine.freeSlots, options.slots);
        preempted += preemptions(local);
        refused += wanting();
      }),
      { numRuns: 300, endOnFailure: true },
    );
    assert.ok(preempted > 40, `${preempted} preemptions`);
    assert.ok(known ? refused === 0 : refused > 20, `${refused} steps without pages`);
    assert.ok(found > 100, `${found} tokens were found`);
  });
}

Deno.test("Engine lets in as many as there are pages for, and the others one by one", async () => {
  const prefixCache = { alignment: SIZE, snapshots: 0, pages: 0 };
  await using local = await LocalEngine.open({ slots: 4, pages: 12, prefixCache });
  const prompts = [0, 1, 2, 3].map((id) => text(id, 20)); // 5 pages, and 1 to go on
  for (const [id, prompt] of prompts.entries()) local.engine.generate(id, request(prompt, { maxTokens: 4 }));
  await setImmediate();
  local.engine.tellStatus();
  assert.deepEqual([local.status!.running, local.status!.waiting], [2, 2]);
  for (const [id, prompt] of prompts.entries()) {
    assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, prompt, 4));
  }
  assert.equal(preemptions(local), 0);
});

Deno.test("Engine says what to change when one sequence is longer than all pages, and goes on with others", async () => {
  const prefixCache = { alignment: SIZE, snapshots: 2, pages: 8 };
  await using local = await LocalEngine.open({ slots: 2, pages: 10, prefixCache });
  const why = "Cannot go on: there is memory for the keys and values of 40 tokens only; " +
    "send less, or use --kv-cache f16, --quantize q4 or more --stages";
  local.engine.generate(0, request(text(0, 41)));
  local.engine.generate(1, request(text(1, 30), { maxTokens: 50 }));
  local.engine.generate(2, request(text(2, 9), { maxTokens: 31 }));
  assert.equal((await local.end(0)).reason, why);
  const { reason, tokens } = await local.end(1);
  assert.equal(reason, why);
  assert.deepEqual(tokens, expectedTokens(DEPTH, text(1, 30), 11), "what there was room for");
  assert.deepEqual((await local.end(2)).tokens, expectedTokens(DEPTH, text(2, 9), 31));
  assert.equal(local.engine.freeSlots, 2);
});

Deno.test("Engine forgets what later steps kept of a sequence of which a step failed", async () => {
  const behaviour = { at: { layer: 2, position: 5, act: "throw" } } as const;
  const prefixCache = { alignment: SIZE, snapshots: 8, pages: 50 };
  await using local = await LocalEngine.open({
    stages: 3,
    slots: 2,
    maxRows: 4,
    prefixCache,
    behaviour,
    stepsPerTurn: 9,
  });
  local.engine.generate(0, request(text(0, 30))); // its later chunks are under way when the second fails
  assert.equal((await local.end(0)).reason, "the fake threw");
  local.engine.generate(1, request(text(0, 30)));
  assert.equal((await local.end(1)).reason, "the fake threw", "it was read from the beginning, or from position 4");
});

/** A stage opens, runs until its links end, passes failures on, and disposes of its model. */
import { strict as assert } from "node:assert";
import { DeviceLostError } from "../../src/backend/backend.ts";
import { localLinks } from "../../src/pipeline/link.ts";
import type { StageEvent } from "../../src/pipeline/messages.ts";
import type { FromStage, ToStage } from "../../src/pipeline/steps.ts";
import { serveStage, type StageModel } from "../../src/stage/stage.ts";
import { FakeStage, openFake, STAGE_OPTIONS } from "./fake_stage.ts";

function tokens(id: number, start: number, ...tokens: number[]): ToStage {
  const step = { id, segments: [{ slot: 0, start, rows: tokens.length }], outputs: Uint32Array.of(tokens.length - 1) };
  return { type: "tokens", step, tokens: Uint32Array.from(tokens) };
}

/** What a stage with `model` makes of `messages`, and what it reports. */
async function serve(model: StageModel, messages: readonly ToStage[]) {
  const [input, stageInput] = localLinks<never, ToStage>();
  const [output, stageOutput] = localLinks<ToStage | FromStage, never>();
  const events: StageEvent[] = [];
  let disposed = 0;
  const serving = serveStage(
    async (options, onProgress) => {
      const { info } = await openFake(3)(options, onProgress);
      return { model: Object.assign(model, { [Symbol.dispose]: () => void disposed++ }), info };
    },
    STAGE_OPTIONS,
    stageInput,
    stageOutput,
    (event) => events.push(event),
  );
  for (const message of messages) input.send(message);
  input[Symbol.dispose]();
  await serving;
  const results: string[] = [];
  for await (const message of output) {
    if (message.type === "release") {
      results.push(`release ${message.released.slots} ${message.released.snapshots}`);
      continue;
    }
    const id = "step" in message ? message.step.id : message.id;
    results.push(message.type === "failed" ? `${id} failed: ${message.reason}` : `${id} ${message.type}`);
  }
  return { results, events, disposed };
}

Deno.test("serveStage() says how opening goes, runs until its input ends and disposes of the model", async () => {
  const { results, events, disposed } = await serve(new FakeStage(STAGE_OPTIONS, true), [
    tokens(0, 0, 1, 2),
    tokens(1, 2, 3),
  ]);
  assert.deepEqual(results, ["0 candidates", "1 candidates"]);
  assert.deepEqual(events.map(({ type }) => type), ["loading", "opened"]);
  assert.equal(disposed, 1);
});

Deno.test("runStage() fails a step whose state does not fit, and goes on", async () => {
  const { results } = await serve(new FakeStage(STAGE_OPTIONS, true), [
    tokens(0, 0, 1, 2),
    tokens(1, 5, 3),
    tokens(2, 2, 3),
  ]);
  assert.deepEqual(results, ["0 candidates", "1 failed: slot 0 holds 2 positions, not 5", "2 candidates"]);
});

Deno.test("runStage() passes on what is for later stages", async () => {
  const passed: ToStage[] = [
    { type: "failed", id: 7, reason: "elsewhere" },
    { type: "release", released: { slots: [0], snapshots: [3] } },
    { type: "logits", id: 6 },
  ];
  const { results } = await serve(new FakeStage(STAGE_OPTIONS, false), [tokens(0, 0, 1), ...passed]);
  assert.deepEqual(results, ["0 hidden", "7 failed: elsewhere", "release 0 3", "6 logits"]);
  assert.deepEqual((await serve(new FakeStage(STAGE_OPTIONS, true), [passed[1]!])).results, [], "the last one ends it");
});

Deno.test("runStage() stores what it has, and lets later stages store theirs unless it could not", async () => {
  const store = (id: number, state: number): ToStage => ({
    type: "store",
    id,
    store: { snapshot: 0, pages: [], state },
  });
  const behaviour = { copies: { layer: 1, count: 2 } };
  const messages = [tokens(0, 0, 1), store(-1, 1), store(-2, 2)];
  for (const [last, results] of [[false, ["0 hidden", "-1 store"]], [true, ["0 candidates", "-1 stored"]]] as const) {
    const served = await serve(new FakeStage(STAGE_OPTIONS, last, behaviour), messages);
    assert.deepEqual(served.results, [...results, "-2 failed: the fake has no memory"]);
  }
});

Deno.test("runStage() gives the logits of the last step only, which a failed one does not leave behind", async () => {
  const { results } = await serve(new FakeStage(STAGE_OPTIONS, true), [
    { type: "logits", id: 0 },
    tokens(0, 0, 1),
    { type: "logits", id: 0 },
    { type: "logits", id: 0 },
    tokens(1, 9, 1),
    { type: "logits", id: 1 },
  ]);
  assert.deepEqual(results, [
    "0 failed: the fake has no logits of step 0",
    "0 candidates",
    "0 logits",
    "0 logits",
    "1 failed: slot 0 holds 1 positions, not 9",
    "1 failed: the fake has no logits of step 1",
  ]);
});

Deno.test("serveStage() ends with the reason when the device is lost", async () => {
  const forward = () => Promise.reject(new DeviceLostError("the device is gone"));
  const [logits, store] = [() => Promise.resolve(new Float32Array()), () => Promise.resolve()];
  const model = { last: true, forward, release() {}, store, logits };
  const { results, events, disposed } = await serve(model, [tokens(0, 0, 1), tokens(1, 1, 1)]);
  assert.deepEqual(results, ["0 failed: the device is gone"]);
  assert.deepEqual(events.at(-1), { type: "failed", reason: "the device is gone" });
  assert.equal(disposed, 1);
});

Deno.test("serveStage() reports why it cannot open", async () => {
  const [, input] = localLinks<never, ToStage>();
  const [output, stageOutput] = localLinks<ToStage | FromStage, never>();
  const events: StageEvent[] = [];
  const options = { ...STAGE_OPTIONS, model: '{"unopenable":1}' };
  await serveStage(openFake(3), options, input, stageOutput, (event) => events.push(event));
  assert.deepEqual(events, [{ type: "failed", reason: "Cannot open layer 1: it is a fake" }]);
  for await (const message of output) assert.fail(message.type);
});

/** Several pipelines as one, over fake stages: routes come and go at any moment, and every answer is what it is alone. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { StepError } from "../../src/pipeline/pipeline.ts";
import type { Candidates, Released, Segment, Step } from "../../src/pipeline/steps.ts";
import type { Route } from "../../src/pool/route.ts";
import { RoutedPipeline } from "../../src/pool/routed_pipeline.ts";
import { LocalEngine, request } from "../engine/local_engine.ts";
import { anyTask, assertAsAlone } from "../engine/random_tasks.ts";
import { text } from "../engine/text.ts";
import { joinFakes } from "../pipeline/joined_stages.ts";
import { expectedTokens, VOCABULARY } from "../stage/fake_stage.ts";

const DEPTH = 3;
const SIZE = 4;
const NEVER = 1e9;

type Joined = ReturnType<typeof joinFakes>;

/** An engine over routes of fakes. */
async function open(options: Parameters<typeof LocalEngine.open>[0], patience = NEVER) {
  let local: LocalEngine | null = null;
  const lost: Released[] = [];
  const routed = new RoutedPipeline({
    vocabulary: VOCABULARY,
    patience,
    absence: () => "Nobody has layers 0-2",
    onLost(_route, had) {
      lost.push(had);
      local?.engine.lose(had);
    },
  });
  const joined = Promise.withResolvers<() => Joined>();
  local = await LocalEngine.open({
    ...options,
    through(join) {
      joined.resolve(join);
      return routed;
    },
  });
  const join = await joined.promise;
  let made = 0;
  const add = () => {
    const { pipeline, models } = join();
    const route = { pipeline, stages: [`${made++}`], deadline: () => NEVER };
    routed.add(route);
    return { ...route, models };
  };
  const close = async () => {
    await local[Symbol.asyncDispose]();
    routed[Symbol.dispose]();
  };
  return { local, routed, lost, add, [Symbol.asyncDispose]: close };
}

const event = fc.record({ kind: fc.constantFrom("add", "lose"), turns: fc.nat(12), which: fc.nat(5) });
const scene = fc.record({
  tasks: fc.array(anyTask, { minLength: 2, maxLength: 10 }),
  routes: fc.nat(3),
  events: fc.array(event, { minLength: 1, maxLength: 10 }),
  stages: fc.integer({ min: 1, max: 3 }),
  stepsPerTurn: fc.integer({ min: 1, max: 3 }),
  slots: fc.integer({ min: 2, max: 6 }),
  maxRows: fc.integer({ min: 6, max: 12 }),
  count: fc.integer({ min: 0, max: 4 }),
});

async function turn(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await setImmediate();
}

Deno.test("RoutedPipeline gives each request what it gives alone, whatever routes come and go", async () => {
  let [together, waited, losses, found] = [0, 0, 0, 0];
  await fc.assert(
    fc.asyncProperty(scene, async ({ tasks, routes, events, count, ...options }) => {
      const prefixCache = { alignment: SIZE, snapshots: count, pages: 30 };
      const behaviour = { pages: { layer: 0, size: SIZE, count: 1000 } };
      await using scene = await open({ ...options, prefixCache, behaviour, context: 300 });
      const { local, routed, lost, add } = scene;
      const added = Array.from({ length: routes }, add);
      const changing = (async () => {
        for (const { kind, turns, which } of [...events, { kind: "add", turns: 3, which: 0 }]) {
          await turn(turns);
          if (kind === "add") added.push(add());
          else routed.routes.at(which % Math.max(1, routed.routes.length))?.pipeline.break("the fake is gone");
          together = Math.max(together, routed.routes.length);
        }
      })();
      found += await assertAsAlone(local, tasks, { ...options, context: 300 });
      await changing;
      waited += routed.waited;
      losses += lost.length;
      if (count > 0) return;
      local.engine.generate(tasks.length, request([1], { maxTokens: 1 })); // with which the rest is given back
      await local.end(tasks.length);
      const used = added.filter(({ pipeline }) => !pipeline.broken.aborted).map(({ models }) => models[0]!.pagesUsed);
      assert.equal(used.reduce((sum, pages) => sum + pages, 0), 1);
    }),
    { numRuns: 150, endOnFailure: true, timeout: 20_000 },
  );
  assert.ok(together >= 3, `${together} routes at once`);
  assert.ok(waited > 20, `${waited} steps waited`);
  assert.ok(losses > 100, `${losses} losses`);
  assert.ok(found > 50, `${found} tokens were found`);
});

Deno.test("RoutedPipeline shares out sequences evenly, and a new route takes the next", async () => {
  await using scene = await open({ slots: 6 });
  const { local, routed, add } = scene;
  const first = add();
  const ask = (id: number) => local.engine.generate(id, request([id], { maxTokens: 60 }));
  for (const id of [0, 1]) ask(id);
  await turn(5);
  const second = add();
  for (const id of [2, 3, 4, 5]) ask(id);
  await turn(10);
  assert.deepEqual(
    [first, second].map((route) => routed.sequences(routed.routes.find((one) => one.pipeline === route.pipeline)!)),
    [3, 3],
  );
  for (let id = 0; id < 6; id++) assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, [id], 60));
});

Deno.test("RoutedPipeline lets those who need a route wait, then fails them in one sentence, and others at once", async () => {
  const begun = performance.now();
  await using scene = await open({ slots: 2 }, 60);
  const { local, add } = scene;
  for (let id = 0; id < 4; id++) local.engine.generate(id, request([id]));
  for (let id = 0; id < 4; id++) assert.equal((await local.end(id)).reason, "Nobody has layers 0-2");
  assert.ok(performance.now() - begun >= 59);
  local.engine.generate(4, request([4]));
  assert.equal((await local.end(4)).reason, "Nobody has layers 0-2");
  const { pipeline } = add();
  local.engine.generate(5, request([5], { maxTokens: 90 }));
  await turn(10);
  pipeline.break("the fake is gone");
  await turn(10);
  add();
  assert.deepEqual((await local.end(5)).tokens, expectedTokens(DEPTH, [5], 90));
});

/** A route that answers as it is told, and notes what it is asked. */
class ScriptedRoute implements Route {
  readonly steps: Step[] = [];
  readonly released: Released[] = [];
  readonly cancelled: number[] = [];
  readonly pipeline: Route["pipeline"];
  readonly #broken = new AbortController();

  constructor(
    answer: (step: Step) => Candidates | Promise<Candidates>,
    logits: () => Promise<Float32Array> = () => Promise.reject(new Error("no logits")),
    readonly deadline = () => NEVER,
    readonly stages: readonly string[] = [crypto.randomUUID()],
  ) {
    this.pipeline = {
      run: async (step) => {
        this.steps.push(step);
        return await answer(step);
      },
      release: (released) => Promise.resolve(void this.released.push(released)),
      cancel: (id) => void this.cancelled.push(id),
      logits,
      broken: this.#broken.signal,
      break: (reason) => this.#broken.abort(new Error(reason)),
    };
  }
}

/** Two candidates for each output, which name their row. */
function candidatesOf({ outputs }: Pick<Step, "outputs">, first: number): Candidates {
  const values = Array.from(outputs, (row) => [first + row, 50 - row]).flat();
  return {
    perRow: 2,
    ids: Uint32Array.from(values),
    logits: Float32Array.from(values, (value) => value / 2),
    logSumExp: Float32Array.from(outputs, (row) => first + row),
  };
}

/** Of equal ones the first is taken first. */
function pipelineOf(...routes: readonly Route[]) {
  const lost: Released[] = [];
  const routed = new RoutedPipeline({
    vocabulary: 3,
    patience: NEVER,
    absence: () => "Nobody is there",
    onLost: (_route, had) => void lost.push(had),
  });
  for (const route of routes.toReversed()) routed.add(route);
  return { routed, lost, [Symbol.dispose]: () => routed[Symbol.dispose]() };
}

const step = (id: number, segments: readonly Segment[], outputs: readonly number[]): Step => ({
  id,
  segments,
  outputs: Uint32Array.from(outputs),
});

Deno.test("RoutedPipeline parts a step by its sequences and joins what comes of it, whichever comes first", async () => {
  const gate = Promise.withResolvers<void>();
  const rows = (first: number) => Promise.resolve(Float32Array.of(first, first, first, -first, -first, -first));
  const one = new ScriptedRoute(async (step) => {
    await gate.promise;
    return candidatesOf(step, 10);
  }, () => rows(1));
  const two = new ScriptedRoute((step) => {
    setTimeout(gate.resolve);
    return candidatesOf(step, 20);
  }, () => rows(2));
  using scene = pipelineOf(one, two);
  const { routed } = scene;
  const segments = [0, 1, 2, 3].map((slot) => ({ slot, start: 0, rows: slot + 1 })); // rows 0, 1-2, 3-5, 6-9
  const found = await routed.run(step(7, segments, [0, 2, 5, 9]), Uint32Array.from({ length: 10 }, (_, i) => i));
  assert.deepEqual(one.steps[0], { ...step(1, [segments[0]!, segments[2]!], [0, 3]), deadline: NEVER });
  assert.deepEqual(two.steps[0], { ...step(2, [segments[1]!, segments[3]!], [1, 5]), deadline: NEVER });
  assert.deepEqual([...found.ids], [10, 50, 21, 49, 13, 47, 25, 45]);
  assert.deepEqual([...found.logits], [...found.ids].map((value) => value / 2));
  assert.deepEqual([...found.logSumExp], [10, 21, 13, 25]);
  assert.deepEqual([...await routed.logits(7)], [1, 2, -1, -2].flatMap((value) => [value, value, value]));
  await routed.run(step(8, segments.map((one) => ({ ...one, start: 10, rows: 1 })), [0, 2]), new Uint32Array(4));
  assert.deepEqual([...await routed.logits(8)], [1, 1, 1, -1, -1, -1], "where no output is nobody is asked");
});

Deno.test("RoutedPipeline gives what comes of a step along the routes that are not lost meanwhile, and says what is lost", async () => {
  const row = Promise.resolve(Float32Array.of(1, 2, 3));
  const one = new ScriptedRoute((step) => candidatesOf(step, 10), () => row);
  const two = new ScriptedRoute(() =>
    new Promise((_, reject) => two.pipeline.broken.addEventListener("abort", () => reject(new Error("gone"))))
  );
  using scene = pipelineOf(one, two);
  const { routed, lost } = scene;
  const begun = routed.run(step(0, [0, 1].map((slot) => ({ slot, start: 0, rows: 1 })), [0, 1]), new Uint32Array(2));
  await turn(2);
  two.pipeline.break("gone");
  assert.deepEqual(lost, [{ slots: [1], snapshots: [] }]);
  const found = await begun;
  assert.deepEqual([[...found.ids], [...found.logSumExp], found.lost], [[10, 50, 0, 0], [10, 0], new Set([1])]);
  assert.deepEqual([...await routed.logits(0)], [1, 2, 3, 0, 0, 0]);
  const next = [1, 0].map((slot) => ({ slot, start: 1, rows: 1 })); // of the first of them nobody has the beginning
  const { ids, lost: further } = await routed.run(step(1, next, [0, 1]), new Uint32Array(2));
  assert.deepEqual([[...ids], further], [[0, 0, 10, 50], new Set([0])]);
  const none = step(2, next.slice(0, 1), [0]);
  await assert.rejects(routed.run(none, new Uint32Array(1)), { name: "StepError", lost: true });
});

Deno.test("RoutedPipeline numbers parts and releases upwards, and gives back along the route that had it", async () => {
  const routes = [0, 1].map(() => new ScriptedRoute((step) => candidatesOf(step, 0)));
  const [one, two] = routes as [ScriptedRoute, ScriptedRoute];
  using scene = pipelineOf(one, two);
  const { routed, lost } = scene;
  const run = (id: number, ...segments: Segment[]) =>
    routed.run(step(id, segments, []), new Uint32Array(segments.reduce((sum, { rows }) => sum + rows, 0)));
  await run(0, { slot: 0, start: 0, rows: 2, keep: 5 }, { slot: 1, start: 0, rows: 1 });
  await run(1, { slot: 2, start: 2, rows: 1, from: 5 }, { slot: 1, start: 1, rows: 1, keep: 6 });
  await routed.release({ slots: [0, 1], snapshots: [] });
  await run(2, { slot: 1, start: 2, rows: 1, from: 5, keep: 6 }); // which the other route had
  await routed.release({ slots: [9], snapshots: [5] });
  routed.cancel(1);
  assert.deepEqual([one.cancelled, two.cancelled], [[3], [4]]);
  assert.deepEqual(one.steps.map(({ id }) => id), [1, 3, 8]);
  assert.deepEqual(two.steps.map(({ id }) => id), [2, 4]);
  assert.deepEqual(one.released, [{ slots: [0], snapshots: [], order: 5 }, { slots: [], snapshots: [5], order: 9 }]);
  assert.deepEqual(two.released, [{ slots: [1], snapshots: [], order: 6 }, { slots: [], snapshots: [6], order: 7 }]);
  one.pipeline.break("gone");
  assert.deepEqual(lost, [{ slots: [2, 1], snapshots: [6] }]);
  await assert.rejects(run(3, { slot: 2, start: 3, rows: 1 }), (error) => error instanceof StepError && error.lost);
  await assert.rejects(run(4, { slot: 3, start: 2, rows: 1, from: 6 }), { name: "StepError", lost: true });
  await run(5, { slot: 2, start: 0, rows: 1 });
  assert.equal(two.steps.length, 3);
});

Deno.test("RoutedPipeline begins sequences where the busiest stage has the fewest, which routes may share", async () => {
  const answer = (step: Step) => candidatesOf(step, 0);
  const routes = ["ad", "ae", "be"].map((stages) => new ScriptedRoute(answer, undefined, undefined, [...stages]));
  using scene = pipelineOf(...routes);
  const { routed } = scene;
  assert.equal(routed.sharing, 2);
  const begin = (slot: number) => routed.run(step(slot, [{ slot, start: 0, rows: 1 }], []), new Uint32Array(1));
  for (let slot = 0; slot < 12; slot++) await begin(slot);
  assert.deepEqual(routes.map((route) => routed.sequences(route)), [6, 0, 6]);
});

Deno.test("Engine keeps what prompts begin with where there are few sequences, so that they do not all go one way", async () => {
  const prefixCache = { alignment: SIZE, snapshots: 4, pages: 100 };
  await using scene = await open({ slots: 8, maxRows: 16, prefixCache, context: 300 });
  const { local, routed, add } = scene;
  const routes = [add(), add()].map(({ pipeline }) => routed.routes.find((route) => route.pipeline === pipeline)!);
  const prompt = (id: number) => [...text(1, 24), id];
  let cached = 0;
  for (let id = 0; id < 8; id++) {
    local.engine.generate(id, request(prompt(id), { maxTokens: 200 }));
    while (local.outcome(id).tokens.length === 0) await setImmediate();
  }
  const shares = routes.map((route) => routed.sequences(route));
  for (let id = 0; id < 8; id++) {
    const { tokens, stats } = await local.end(id);
    assert.deepEqual(tokens, expectedTokens(DEPTH, prompt(id), 200));
    if (stats!.cachedTokens > 0) cached++;
  }
  assert.ok(Math.min(...shares) >= 2, `${shares}`);
  assert.ok(cached >= 4, `${cached} began from what was kept`);
});

Deno.test("RoutedPipeline gives up a route that does not answer in time, or what was not asked for", async () => {
  const slow = new ScriptedRoute(
    () => new Promise((_, reject) => slow.pipeline.broken.addEventListener("abort", () => reject(new Error("broken")))),
    undefined,
    () => 20,
  ); // deno-fmt-ignore
  const wrong = new ScriptedRoute(() => candidatesOf({ outputs: Uint32Array.of(0, 0) }, 0));
  for (
    const [route, reason] of [[slow, "a step took longer than 0 s"], [
      wrong,
      "Cannot take a frame: 2 rows came of step 1, which has 1 outputs",
    ]] as const
  ) { // deno-fmt-ignore
    using scene = pipelineOf(route);
    const asked = scene.routed.run(step(0, [{ slot: 0, start: 0, rows: 1 }], [0]), new Uint32Array(1));
    await assert.rejects(asked, { name: "StepError", lost: true, message: reason });
    assert.equal(route.pipeline.broken.reason.message, reason);
    assert.deepEqual(scene.lost, [{ slots: [0], snapshots: [] }]);
    assert.deepEqual(scene.routed.routes, []);
  }
});

Deno.test("RoutedPipeline counts the sequences that wait for a route, not their steps", async () => {
  using scene = pipelineOf();
  const { routed } = scene;
  const segments = [0, 1, 2].map((slot) => ({ slot, start: 0, rows: 1 }));
  const asked = [
    routed.run(step(0, segments, []), new Uint32Array(3)),
    routed.run(step(1, [{ slot: 2, start: 1, rows: 1 }], []), new Uint32Array(1)),
  ];
  routed.add(new ScriptedRoute((step) => candidatesOf(step, 0)));
  await Promise.all(asked);
  await routed.run(step(2, [{ slot: 3, start: 0, rows: 1 }], []), new Uint32Array(1));
  assert.equal(routed.waited, 3);
});

Deno.test("RoutedPipeline gives up a route with other candidates than others have, whose places they would take", async () => {
  const one = new ScriptedRoute((step) => candidatesOf(step, 10));
  const nine = Float32Array.of(9);
  const two = new ScriptedRoute(() => ({ perRow: 1, ids: Uint32Array.of(9), logits: nine, logSumExp: nine }));
  using scene = pipelineOf(one, two);
  const segments = [0, 1].map((slot) => ({ slot, start: 0, rows: 1 }));
  const { ids, lost } = await scene.routed.run(step(0, segments, [0, 1]), new Uint32Array(2));
  assert.deepEqual([[...ids], lost], [[10, 50, 0, 0], new Set([1])]);
  assert.match(two.pipeline.broken.reason.message, /Cannot take 1 candidates of a row, where there were 2 before/);
  assert.deepEqual(scene.routed.routes.length, 1);
});

Deno.test("RoutedPipeline takes a failure of a stage for what it is, and one of reading whole rows for a loss", async () => {
  const failing = new ScriptedRoute(
    () => Promise.reject(new StepError({ reason: "out of pages", pages: 7 })),
    () => Promise.reject(new StepError({ reason: "the logits are gone" })),
  );
  using scene = pipelineOf(failing);
  const asked = scene.routed.run(step(0, [{ slot: 0, start: 0, rows: 1 }], [0]), new Uint32Array(1));
  await assert.rejects(asked, { pages: 7, lost: false });
  await assert.rejects(scene.routed.logits(0), { message: "the logits are gone", lost: true });
  assert.equal(scene.routed.routes.length, 1);
});

/** Several threads of the WASM backend: the same bits as one, however many there are and whatever they share out; and how they fail and end. */
import { strict as assert } from "node:assert";
import { MessageChannel } from "node:worker_threads";
import { type Backend, DeviceLostError, type Ops } from "../../src/backend/backend.ts";
import { StartedThreads } from "../../src/backend/wasm/started_threads.ts";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { type KernelsExports, url } from "../../wasm/kernels.ts";
import { Memory } from "../../wasm/memory.ts";
import { CaseMaker, hiddenStep, random } from "./case_maker.ts";
import { CASES, runCase } from "./cases.ts";
import { sequencesStep, smallModel, VOCABULARY } from "./small_model.ts";

/** Pieces as small as they can be. */
const LEAST_WORK = 1;

Deno.test("2 and 4 threads give every case the bits of one", async () => {
  await using one = new StartedThreads(1);
  await using three = new StartedThreads(3);
  for (const opCase of CASES) {
    using alone = await WasmBackend.open();
    const expected = await runCase(alone, opCase);
    for (const further of [one, three]) {
      using together = await WasmBackend.open(further.ports(), LEAST_WORK);
      assert.deepEqual(await runCase(together, opCase), expected, opCase.name);
    }
  }
});

/** Runs one small model over sequences in several slots by two plans, and tells the logits' bits. */
async function sequences(backend: Backend, slots: number, mostRows: number) {
  const make = new CaseMaker(backend, 3);
  const { build, logits } = smallModel(make, mostRows, slots);
  await make.written();
  const plans = [slots, mostRows].map((rows) =>
    backend.record({ rows, segments: slots, outputs: rows, pages: 1 }, build)
  );
  return async (segments: readonly (readonly [slot: number, start: number, rows: number])[]) => {
    const step = sequencesStep(segments, slots);
    const rows = step.outputs.length;
    const [bits] = await backend.run(plans[rows <= slots ? 0 : 1]!, step, [
      { tensor: logits, elements: rows * VOCABULARY },
    ]);
    return new Uint32Array(bits!);
  };
}

/** Steps over `slots` sequences that go on, some of them each time, by one row or several, and begin anew. */
function* randomSteps(slots: number, count: number) {
  const next = random(11);
  const nat = (below: number) => Math.floor((next() + 1) / 2 * below);
  const ends = Array.from({ length: slots }, () => 0);
  for (let step = 0; step < count; step++) {
    const chosen = ends.flatMap((end, slot) => slot === step % slots || nat(2) === 0 ? [[slot, end] as const] : []);
    yield chosen.map(([slot, end]) => {
      const rows = nat(3) === 0 ? 1 + nat(10) : 1;
      const start = end + rows > 60 ? 0 : end;
      ends[slot] = start + rows;
      return [slot, start, rows] as const;
    });
  }
}

for (const further of [1, 2, 3, 8]) {
  Deno.test(`${further + 1} threads give the bits of one over steps of all kinds that follow each other`, async () => {
    const slots = 6;
    await using threads = new StartedThreads(further);
    using alone = await WasmBackend.open();
    using together = await WasmBackend.open(threads.ports(), LEAST_WORK);
    const [expected, actual] = [await sequences(alone, slots, 64), await sequences(together, slots, 64)];
    for (const segments of randomSteps(slots, 200)) assert.deepEqual(await actual(segments), await expected(segments));
  });
}

/** A stage's own thread that takes no piece, so that the others must make all of them. */
const IDLE = { share: () => 1 } satisfies Partial<KernelsExports>;

/** A backend that adds products [4, 64] · [N, 64] to y. */
async function product(threads: StartedThreads, N: number, own: Partial<KernelsExports> = {}) {
  const memory = await Memory.load<KernelsExports>(url, true);
  const backend = new WasmBackend(memory, { ...memory.kernels, ...own }, threads.ports(), LEAST_WORK);
  const run = await recorded(backend, N, 5);
  return { backend, run };
}

/** Makes such products of a backend. */
async function recorded(backend: WasmBackend, N: number, seed: number) {
  const make = new CaseMaker(backend, seed);
  const [x, y, map] = [make.vector("x", [4, 64]), make.empty("y", [4, N]), make.linear("bf16", [N, 64])];
  await make.written();
  const plan = backend.record({ rows: 4, segments: 1, outputs: 0 }, (ops: Ops) => ops.projectAdd(y, x, map));
  return async () => {
    await backend.write(y, 0, new Uint8Array(4 * 4 * N));
    const [sums] = await backend.run(plan, hiddenStep(64, [[0, 0, 4]]), [{ tensor: y, elements: 4 * N }]);
    return new Uint32Array(sums!);
  };
}

/** Runs again and again, for threads may be late, until `isOver`. */
async function until(isOver: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000;
  while (!await isOver()) assert.ok(performance.now() < end, "the further threads take no part");
}

Deno.test("further threads do what their stage's own leaves, and the memory that is added while they run is theirs, too", async () => {
  await using threads = new StartedThreads(2);
  const N = 4096;
  using alone = new WasmBackend(await Memory.load<KernelsExports>(url, true));
  const [expected, behind] = [await recorded(alone, N, 5), await recorded(alone, N, 6)];
  const { backend, run } = await product(threads, N, IDLE);
  using _backend = backend;
  assert.deepEqual(await run(), await expected());
  backend.tensor("far", "f32", [2 ** 26]);
  const runBehind = await recorded(backend, N, 6);
  assert.deepEqual(await runBehind(), await behind());
  assert.deepEqual(await run(), await expected());
});

Deno.test("nobody waits for threads that do not come", async () => {
  using alone = await WasmBackend.open();
  const [left, right] = [new MessageChannel(), new MessageChannel()];
  using together = await WasmBackend.open([left.port1, right.port1], LEAST_WORK);
  const steps = [[[0, 0, 9], [1, 0, 1]], [[0, 9, 1], [1, 1, 1]], [[1, 2, 20]]] as const;
  const [expected, actual] = [await sequences(alone, 2, 64), await sequences(together, 2, 64)];
  for (const segments of steps) assert.deepEqual(await actual(segments), await expected(segments));
  for (const { port2 } of [left, right]) port2.close();
});

/** A step over a token that no memory holds. */
const WILD = {
  segments: [{ slot: 0, start: 0, rows: 64 }],
  outputs: new Uint32Array(),
  rows: new Uint32Array(64).fill(2 ** 24),
};

Deno.test("a thread that traps fails the step with its reason and all steps after it, and serves the next backend", async () => {
  await using threads = new StartedThreads(1);
  for (const who of ["the stage's own thread", "the further thread"]) {
    const memory = await Memory.load<KernelsExports>(url, true);
    const kernels = who === "the further thread" ? { ...memory.kernels, ...IDLE } : memory.kernels;
    using backend = new WasmBackend(memory, kernels, threads.ports(), LEAST_WORK);
    const make = new CaseMaker(backend, 5);
    const [hidden, table] = [make.empty("hidden", [64, 64]), make.weight("bf16", [16, 64])];
    await make.written();
    const plan = backend.record({ rows: 64, segments: 1, outputs: 0 }, (ops) => ops.embed(hidden, table));
    let failure: unknown = null;
    await until(() =>
      backend.run(plan, WILD, []).then(() => false, (error) => {
        failure = error;
        return true;
      })
    );
    assert.ok(failure instanceof DeviceLostError, who);
    assert.equal(failure.message, "A thread of the CPU failed: memory access out of bounds", who);
    await assert.rejects(() => backend.run(plan, WILD, []), { name: "DeviceLostError" });
  }
  const { backend, run } = await product(threads, 64);
  using _backend = backend;
  assert.equal((await run()).length, 4 * 64);
});

/** The KV cache as the model uses it: growing, full, in f16, far out; and linear states, which do none of that. */
import { strict as assert } from "node:assert";
import { type Backend, OutOfMemoryError } from "../../src/backend/backend.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import { stateBytes } from "../../src/model/state_bytes.ts";
import { type TestedBackend, testOnBackends, testOnWasm } from "../backend/backends.ts";
import { cut, distance, Stages, type StagesOptions } from "./stages.ts";
import { openTiny, VARIANT_NAMES } from "./tiny.ts";

/** Positions that the first block has. */
const FIRST_BLOCK = 32 * 256;

/** A model of one stage, and its backend. */
async function opened({ open }: TestedBackend, variant: string, options: StagesOptions) {
  const { folder, tokens } = await openTiny(variant);
  let backend: Backend | null = null;
  const stages = await Stages.open(folder, async () => backend = await open(), { maxRows: 64, ...options });
  const run = async (slot: number, start: number, rows: number) => {
    const outputs = Uint32Array.of(rows - 1);
    await stages.forward({ segments: [{ slot, start, rows }], outputs }, tokens.subarray(0, rows));
    return (await stages.lastLogits()).join();
  };
  return { stages, backend: backend!, run };
}

testOnBackends("forward() takes memory as sequences grow, and gives the same bits after it", async ({ open }) => {
  const { folder } = await openTiny("base");
  const { hidden } = await loadConfig(folder);
  let backend: Backend | null = null;
  const layers = [{ start: 2, end: 3 }]; // one that keeps nothing but keys and values
  const made = async () => backend = await open();
  using stages = await Stages.open(folder, made, { layers, slots: 3, context: FIRST_BLOCK, maxRows: 64 });
  const run = async (slot: number, start: number, rows: number): Promise<string> => {
    const step = { id: 0, segments: [{ slot, start, rows }], outputs: Uint32Array.of() };
    const given = Float32Array.from({ length: rows * hidden }, (_, i) => Math.sin(i + start));
    return new Uint32Array((await stages.models[0]!.forward(step, given) as Float32Array).buffer).join();
  };
  const end = FIRST_BLOCK - 40;
  await run(0, 0, 40);
  const [many, one] = [await run(0, end, 40), await run(0, end, 1)];
  const before = backend!.bytes;
  await run(0, end, 40);
  assert.equal(backend!.bytes, before);
  await run(1, 0, 40); // the first block is full
  assert.ok(backend!.bytes > before);
  assert.ok(await run(0, end, 40) === many && await run(0, end, 1) === one, "other bits after the cache has grown");
  await run(0, 0, 1);
  const full = backend!.bytes;
  await run(2, FIRST_BLOCK - 1, 1); // in the pages that slot 0 gave back
  assert.equal(backend!.bytes, full);
});

testOnBackends(
  "forward() fails a step for which there is no page in one sentence, asks once, and goes on with others",
  async (tested) => {
    const { stages, backend, run } = await opened(tested, "base", { slots: 2, context: FIRST_BLOCK });
    using _ = stages;
    const expected = await run(0, 0, 40);
    await run(0, FIRST_BLOCK - 1, 1);
    const asked: number[] = [];
    backend.allocate = ([tensor]) => {
      asked.push(tensor!.shape[0]!);
      return Promise.reject(new OutOfMemoryError("keys of layer 2", 4096, "Device", 512));
    };
    const why = {
      name: "OutOfPagesError",
      pages: 32,
      message:
        `Cannot hold more keys and values than those of 8192 positions: ${backend.device} has no room for them; ` +
        "use --kv-cache f16, a smaller --prefix-cache or fewer --max-sequences",
    };
    await assert.rejects(run(1, 0, 1), why);
    await assert.rejects(run(1, 0, 1), why);
    assert.deepEqual(asked, [32, 16, 8, 4, 2, 1]);
    assert.equal(await run(0, 0, 40), expected);
    await run(1, 0, 40);
    await assert.rejects(run(0, FIRST_BLOCK - 1, 1), why);
    stages.models[0]!.release({ slots: [1], snapshots: [] });
    await run(0, FIRST_BLOCK - 1, 1);
  },
);

testOnWasm(
  "forward() takes as many pages as there is room for, and leaves the computer some memory",
  async (tested) => {
    const { stages, backend, run } = await opened(tested, "base", { slots: 3, context: FIRST_BLOCK });
    using _ = stages;
    await run(0, FIRST_BLOCK - 1, 1);
    const memory = Deno.systemMemoryInfo;
    const before = backend.bytes;
    const page = 2 * 4 * 256 * 2 * 16; // keys and values of its two softmax layers
    Deno.systemMemoryInfo = () => ({ ...memory(), available: 2 ** 28 + 5 * page });
    try {
      await run(1, 3 * 256 - 1, 1);
      assert.equal(backend.bytes - before, 4 * page);
      Deno.systemMemoryInfo = () => ({ ...memory(), available: 2 ** 28 });
      await assert.rejects(run(2, 2 * 256, 1), { name: "OutOfPagesError", pages: 36 });
    } finally {
      Deno.systemMemoryInfo = memory;
    }
  },
);

/** In units of the largest |logit|: keys and values of 11 bits in tiny models, whose states hide little of it. */
const F16_BOUND = 1e-3;

testOnBackends(
  "forward() with a cache in f16 stays close to the reference's logits, and 1 and 2 stages agree",
  async ({ open }) => {
    for (const variant of VARIANT_NAMES) {
      const tiny = await openTiny(variant);
      const { layers } = await loadConfig(tiny.folder);
      const all: Float32Array[] = [];
      for (const stages of [1, 2]) {
        using model = await Stages.open(tiny.folder, open, { layers: cut(layers, stages), kvCache: "f16" });
        for (const pieces of [[1000], [1]]) all.push(await model.logits(tiny.tokens, pieces));
      }
      const expected = await tiny.logits("serving");
      for (const logits of all) {
        const far = distance(logits, expected);
        assert.ok(far <= F16_BOUND, `${variant}: off by ${far}`);
        assert.ok(far > 1e-6, `${variant}: off by ${far} only, so nothing was rounded`);
      }
      assert.deepEqual(all.slice(2), all.slice(0, 2));
    }
  },
);

testOnBackends("forward() runs at the end of a context of 524,288 tokens", async (tested) => {
  const context = 2 ** 19;
  const { stages, backend, run } = await opened(tested, "yarn", { slots: 2, context, kvCache: "f16" });
  using _ = stages;
  const before = backend.bytes;
  const near = await run(0, 0, 8);
  assert.ok(backend.bytes - before < 2 ** 25, "a short sequence takes little");
  // Beside rows of another sequence, so that the kernels are those of long steps.
  const { tokens } = await openTiny("yarn");
  const segments = [{ slot: 0, start: context - 8, rows: 8 }, { slot: 1, start: 0, rows: 32 }];
  const rows = Uint32Array.of(...tokens.subarray(0, 8), ...tokens.subarray(0, 32));
  await stages.forward({ segments, outputs: Uint32Array.of(7) }, rows);
  const far = (await stages.lastLogits()).join();
  assert.ok(far.split(",").every((logit) => Number.isFinite(Number(logit))));
  assert.notEqual(far, near);
});

testOnBackends(
  "linear layers take the same memory whatever the context, before and after a long sequence",
  async (tested) => {
    const bytes = [];
    for (const context of [256, 65_536]) {
      const layers = [{ start: 0, end: 2 }]; // of groups of three
      const { folder } = await openTiny("base");
      const { hidden, rotaryDim } = await loadConfig(folder);
      let backend: Backend | null = null;
      const open = async () => backend = await tested.open();
      using model = await Stages.open(folder, open, { layers, slots: 2, context, maxRows: 64 });
      const run = (start: number) =>
        model.models[0]!.forward(
          { id: 0, segments: [{ slot: 1, start, rows: 1 }], outputs: Uint32Array.of() },
          Uint32Array.of(1),
        );
      assert.equal((await run(0) as Float32Array).length, hidden);
      const once = backend!.bytes;
      await run(context - 1);
      assert.equal(backend!.bytes, once);
      bytes.push(once - 4 * context * rotaryDim); // but for the table of cosines and sines
    }
    assert.equal(bytes[1], bytes[0]);
  },
);

Deno.test("stateBytes() is the same for linear layers at any context, and halves keys and values in f16", async () => {
  const config = await loadConfig((await openTiny("base")).folder);
  const at = (context: number, kvCache: "f32" | "f16" = "f32") =>
    stateBytes(config, { layers: { start: 0, end: config.layers }, slots: 2, context, kvCache });
  assert.equal(at(4096).stateBytes, at(524_288).stateBytes);
  assert.equal(at(524_288).cacheBytes, 128 * at(4096).cacheBytes);
  assert.equal(at(4096, "f16").cacheBytes, at(4096).cacheBytes / 2);
});

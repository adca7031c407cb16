/** The WASM backend's results: the table of cases, rows among other rows, every code of the small floats; and what it refuses. */
import { strict as assert } from "node:assert";
import type { Ops, StepInput } from "../../src/backend/backend.ts";
import type { Weight, WeightType } from "../../src/backend/tensor.ts";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { type KernelsExports, url } from "../../wasm/kernels.ts";
import { relaxedUrl } from "../../wasm/kernels_module.ts";
import { Memory } from "../../wasm/memory.ts";
import { cacheOf } from "./attention_cases.ts";
import { CaseMaker, hiddenStep } from "./case_maker.ts";
import { CASES, checkCase } from "./cases.ts";
import { ReferenceBackend } from "./reference_backend.ts";
import { decode } from "./reference_tensor.ts";
import { sequencesStep, smallModel, VOCABULARY } from "./small_model.ts";
import { checkExponential } from "./wasm_exponential.ts";
import { WASM_ROUNDINGS } from "./wasm_roundings.ts";

/** The builds of the kernels, of which a machine uses one. */
const BUILDS = [["", url], [", relaxed", relaxedUrl]] as const;

for (const [build, module] of BUILDS) {
  for (const opCase of CASES) {
    Deno.test(`WasmBackend${build}: ${opCase.name}`, async () => {
      using backend = await openBuild(module);
      await checkCase(backend, opCase, WASM_ROUNDINGS);
    });
  }

  Deno.test(`exponential()${build} is within 2e-7 of Math.exp from 0 to infinity`, async () => {
    const memory = await Memory.load<KernelsExports>(module, true);
    checkExponential(memory.kernels, memory);
  });
}

async function openBuild(module: URL): Promise<WasmBackend> {
  return new WasmBackend(await Memory.load<KernelsExports>(module, true));
}

type Segment = readonly [slot: number, start: number, rows: number];

/** A backend that runs the small model by several plans over the same tensors. */
async function smallModels(module: URL, rows: number, slots: number) {
  const backend = await openBuild(module);
  const make = new CaseMaker(backend, 3);
  const { build, logits } = smallModel(make, rows, slots);
  await make.written();
  const planOf = (most: number) => backend.record({ rows: most, segments: slots, outputs: most, pages: 1 }, build);
  /** The logits' bits of every row, by segment. */
  const run = async (plan: ReturnType<typeof planOf>, segments: readonly Segment[]): Promise<Uint32Array[]> => {
    const step = sequencesStep(segments, slots);
    const [all] = await backend.run(plan, step, [{ tensor: logits, elements: step.outputs.length * VOCABULARY }]);
    let row = 0;
    return segments.map(([, , count]) => new Uint32Array(all!).slice(row * VOCABULARY, (row += count) * VOCABULARY));
  };
  return { planOf, run };
}

for (const [build, module] of BUILDS) {
  Deno.test(`run()${build} gives a row the same bits alone and among the rows of any number of other sequences`, async () => {
    const slots = 11;
    /** Prefill, single tokens, a long piece: what each sequence runs, in this order. */
    const pieces = [[0, 4], [4, 1], [5, 1], [6, 6], [12, 33]] as const;
    const { planOf, run } = await smallModels(module, slots * 33, slots);
    const [one, many] = [planOf(33), planOf(slots * 33)];
    const alone: Uint32Array[][] = [];
    for (let slot = 0; slot < slots; slot++) {
      alone.push([]);
      for (const [start, rows] of pieces) alone[slot]!.push((await run(one, [[slot, start, rows]]))[0]!);
    }
    for (let count = 1; count <= slots; count++) {
      const chosen = Array.from({ length: count }, (_, i) => (i * 7 + count) % slots);
      for (const [at, [start, rows]] of pieces.entries()) {
        const together = await run(many, chosen.map((slot) => [slot, start, rows]));
        assert.deepEqual(together, chosen.map((slot) => alone[slot]![at]), `rows from ${start} of ${count} sequences`);
      }
    }
  });
}

Deno.test("run() continues each of three slots at its own position, in steps of different kinds", async () => {
  const { planOf, run } = await smallModels(url, 16, 3);
  const plan = planOf(16);
  const ends = async (...segments: Segment[]) => (await run(plan, segments)).map((rows) => rows.slice(-VOCABULARY));
  const alone = [];
  for (const slot of [0, 1, 2]) {
    await ends([slot, 0, 4]);
    alone.push([...await ends([slot, 4, 1]), ...await ends([slot, 5, 6])]);
  }
  for (const slot of [2, 0, 1]) await ends([slot, 0, 4]);
  const [first0, first2] = await ends([0, 4, 1], [2, 4, 1]);
  const [second2, first1] = await ends([2, 5, 6], [1, 4, 1]);
  const [second0, second1] = await ends([0, 5, 6], [1, 5, 6]);
  assert.deepEqual([[first0, second0], [first1, second1], [first2, second2]], alone);
});

/** Of which kernels read sixteen, eight or four at once. */
const CODE_COLUMNS = 28;

/** Every code of a type in a matrix of some columns; the rest is 0. */
async function codeMatrix(
  backend: WasmBackend,
  type: "f16" | "bf16" | "f8_e4m3",
): Promise<[Weight, ArrayLike<number>]> {
  const codes = type === "f8_e4m3" ? 2 ** 8 : 2 ** 16;
  const [all, matrix] = [codes, codes * CODE_COLUMNS].map((n) =>
    codes === 2 ** 8 ? new Uint8Array(n) : new Uint16Array(n)
  ) as [
    Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer>,
    Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer>,
  ];
  for (let code = 0; code < codes; code++) all[code] = matrix[code * CODE_COLUMNS + code % CODE_COLUMNS] = code;
  const values = backend.tensor(type, type, [codes, CODE_COLUMNS]);
  await backend.write(values, 0, new Uint8Array(matrix.buffer));
  return [
    { values, scales: null },
    decode(type, new Uint8Array(all.buffer)),
  ];
}

/** The reference decodes the NaN of FP8 as the 480 that their bits would be. */
const isNaNCode = (type: WeightType, code: number) => type === "f8_e4m3" && (code & 0x7f) === 0x7f;

/** Multiplies rows of ones with every code. */
async function checkCodes(
  backend: WasmBackend,
  type: WeightType,
  weight: Weight,
  expected: ArrayLike<number>,
  rows: number,
): Promise<void> {
  const x = backend.tensor("ones", "f32", [rows, CODE_COLUMNS]);
  const y = backend.tensor("sums", "f32", [rows, expected.length]);
  await backend.write(x, 0, new Uint8Array(new Float32Array(rows * CODE_COLUMNS).fill(1).buffer));
  const build = (ops: Ops) => ops.projectAdd(y, x, { weight, bias: null });
  const plan = backend.record({ rows, segments: 1, outputs: 0 }, build);
  const reads = [{ tensor: y, elements: rows * expected.length }];
  const [sums] = await backend.run(plan, hiddenStep(0, [[0, 0, rows]]), reads);
  new Float32Array(sums!).forEach((sum, i) => {
    const code = i % expected.length;
    const value = isNaNCode(type, code) ? NaN : expected[code]! + 0; // 0 + -0 is 0
    if (Object.is(sum, value)) return;
    assert.fail(`code ${code} in row ${Math.floor(i / expected.length)} of ${rows} is ${sum}, not ${value}`);
  });
}

for (const type of ["bf16", "f16", "f8_e4m3"] as const) {
  Deno.test(`every code of ${type} is widened exactly, subnormals, infinities and NaN included`, async () => {
    using backend = await WasmBackend.open();
    const [weight, expected] = await codeMatrix(backend, type);
    for (const rows of [1, 2, 3, 4, 5, 11]) await checkCodes(backend, type, weight, expected, rows);
  });
}

const NO_ROWS: StepInput = { segments: [], outputs: new Uint32Array(), rows: new Float32Array() };

Deno.test("tensor() gives zeros and counts their bytes, padding included", async () => {
  using backend = await WasmBackend.open();
  const tensors = [backend.tensor("a", "f8_e4m3", [3]), backend.tensor("b", "f32", [2, 3])];
  assert.equal(backend.bytes, 16 + 32);
  const [a, b] = await backend.read(tensors.map((tensor) => ({ tensor, elements: 3 })));
  assert.deepEqual([new Uint8Array(a!), new Float32Array(b!)], [new Uint8Array(3), new Float32Array(3)]);
});

Deno.test("tensor() refuses what 4 GiB cannot hold", async () => {
  using backend = await WasmBackend.open();
  backend.tensor("norm", "f32", [4]);
  assert.throws(() => backend.tensor("cache", "f32", [2 ** 20, 2 ** 10]), {
    name: "OutOfMemoryError",
    message: "Cannot allocate cache (4294967296 bytes) on CPU (WASM SIMD) beside the 16 bytes that are in use: " +
      "use --quantize q4, a smaller --max-context, fewer --max-sequences or more --stages",
  });
});

Deno.test("write() begins at an element, and refuses to pass the end", async () => {
  using backend = await WasmBackend.open();
  const tensor = backend.tensor("ids", "u32", [4]);
  await backend.write(tensor, 2, new Uint8Array(Uint32Array.of(7, 8).buffer));
  const [ids] = await backend.read([{ tensor, elements: 4 }]);
  assert.deepEqual(new Uint32Array(ids!), Uint32Array.of(0, 0, 7, 8));
  await assert.rejects(() => backend.write(tensor, 3, new Uint8Array(8)), {
    name: "RangeError",
    message: "Cannot write 'ids' up to byte 20: it has 16",
  });
});

Deno.test("run() refuses a step that is larger than its plan", async () => {
  using backend = await WasmBackend.open();
  const plan = backend.record({ rows: 2, segments: 1, outputs: 1 }, () => {});
  await assert.rejects(() => backend.run(plan, hiddenStep(4, [[0, 0, 3]]), []), {
    name: "RangeError",
    message: "Cannot run 3 rows in 1 segments with 0 outputs by a plan for 2, 1 and 1",
  });
  assert.deepEqual(await backend.run(plan, NO_ROWS, []), []);
});

/** Records operations that must be refused. */
async function refused(build: (make: CaseMaker, ops: Ops) => void): Promise<() => void> {
  const backend = await WasmBackend.open();
  return () =>
    void backend.record({ rows: 1, segments: 1, outputs: 1 }, (ops) => build(new CaseMaker(backend, 1), ops));
}

Deno.test("record() refuses tensors of another backend", async () => {
  const other = new ReferenceBackend().tensor("hidden", "f32", [1, 4]);
  assert.throws(await refused((_, ops) => ops.receive(other)), {
    name: "TypeError",
    message: "Cannot use tensor 'hidden' as the WASM backend did not make it",
  });
});

Deno.test("record() refuses widths that its kernels cannot compute", async () => {
  const embed = (columns: number, block: readonly [number, number]) =>
    refused((make, ops) => ops.embed(make.empty("hidden", [1, columns]), make.weight("f8_e4m3", [4, columns], block)));
  assert.throws(await embed(6, [4, 4]), {
    message: "Cannot multiply by 'f8_e4m3 weight' as its rows have 6 values: not of 4",
  });
  assert.throws(await embed(8, [4, 6]), { message: "Cannot scale 'f8_e4m3 weight' in blocks of 6 columns: not of 4" });
  const indices = refused((make, ops) => {
    ops.embed(make.empty("hidden", [1, 8]), { values: make.empty("ids", [4, 8], "u32"), scales: null });
  });
  assert.throws(await indices, { message: "Cannot multiply by 'ids' as it is of type u32" });
  const attend = refused((make, ops) => {
    const [out, qkv] = [make.empty("out", [1, 260]), make.empty("qkv", [1, 780])];
    const cache = cacheOf(make, { blocks: [1] }, [1, 260]);
    const how = { heads: 1, kvHeads: 1, headDim: 260, silu: false, queryNorm: null, keyNorm: null, rope: null };
    ops.softmaxAttention(out, qkv, cache, how);
  });
  assert.throws(await attend, { message: "Cannot attend with heads of 260 channels: use a multiple of 4 up to 256" });
});

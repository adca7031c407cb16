import assert from "node:assert/strict";
import { readF32, readScales, scaleGrid } from "../../src/formats/quantization.ts";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import { f32, folderOf, safetensors, type TinyTensor } from "./tiny_checkpoint.ts";

const ROWS = 160; // 128 + 32
const COLUMNS = 136; // 128 + 8
const BLOCK = [128, 128] as const;

/** Every code but NaN, in turn. */
const codes = Uint8Array.from({ length: ROWS * COLUMNS }, (_, i) => (i * 11) % 254 + ((i * 11) % 254 >= 127 ? 1 : 0));

function e4m3(code: number): number {
  const magnitude = code & 0x78 ? (1 + (code & 7) / 8) * 2 ** (((code >> 3) & 15) - 7) : (code & 7) / 512;
  return code & 0x80 ? -magnitude : magnitude;
}

async function checkpointOf(...tensors: TinyTensor[]) {
  const folder = await folderOf({ "model.safetensors": safetensors(tensors) });
  const checkpoint = await openCheckpoint(folder.path);
  return {
    checkpoint,
    async [Symbol.asyncDispose]() {
      checkpoint[Symbol.dispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const weight = { name: "w", dtype: "F8_E4M3", shape: [ROWS, COLUMNS], data: codes };

function scales(shape: readonly number[], ...values: number[]): TinyTensor {
  return { name: "w_scale_inv", dtype: "F32", shape, data: f32(...values) };
}

/** Scales that have no short binary form, so that a product's rounding shows. */
const rowScales = Array.from({ length: ROWS }, (_, row) => Math.fround(0.1 + row / 7));

const LAYOUTS = [
  [
    "blocks with ragged edges",
    scales([2, 2], 0.3, 3, 0.007, 11),
    BLOCK,
    (r: number, c: number) => [[0.3, 3], [0.007, 11]][r >> 7]![c >> 7]!,
  ],
  [
    "blocks of the configuration's size",
    scales([3, 2], 1.1, 2.2, 3.3, 4.4, 5.5, 6.6),
    [64, 100],
    (r: number, c: number) => [[1.1, 2.2], [3.3, 4.4], [5.5, 6.6]][Math.floor(r / 64)]![Math.floor(c / 100)]!,
  ],
  ["one scale a row", scales([ROWS, 1], ...rowScales), BLOCK, (r: number) => rowScales[r]!],
  ["one scale in all", scales([1], 0.3), BLOCK, () => 0.3],
  ["one scale without a shape", scales([], 0.3), BLOCK, () => 0.3],
  ["one scale named weight_scale", { ...scales([1, 1], 0.7), name: "w_scale" }, BLOCK, () => 0.7],
  ["a BF16 scale", { ...scales([1], 0), dtype: "BF16", data: Uint8Array.of(0x40, 0x3f) }, BLOCK, () => 0.75],
] as const;

for (const [name, tensor, block, scaleAt] of LAYOUTS) {
  Deno.test(`readF32() applies ${name}, exactly`, { sanitizeResources: true }, async () => {
    await using opened = await checkpointOf(weight, tensor as TinyTensor);
    const expected = Float32Array.from(
      codes,
      (code, i) => e4m3(code) * Math.fround(scaleAt(Math.floor(i / COLUMNS), i % COLUMNS)),
    );
    assert.deepEqual(await readF32(opened.checkpoint, "w", block), expected);
    // Ranges that begin and end within blocks.
    for (const [firstRow, rows] of [[0, 1], [127, 2], [5, 150], [130, 30], [159, 1], [7, 0]] as const) {
      const part = await readF32(opened.checkpoint, "w", block, { firstRow, rows });
      assert.deepEqual(part, expected.slice(firstRow * COLUMNS, (firstRow + rows) * COLUMNS), `${firstRow} + ${rows}`);
    }
  });
}

Deno.test("readScales() reads the whole grid that scaleGrid() found", async () => {
  await using opened = await checkpointOf(weight, scales([2, 2], 0.3, 3, 0.007, 11));
  const grid = scaleGrid(opened.checkpoint.tensors, opened.checkpoint.entry("w"), BLOCK);
  assert.deepEqual(grid.block, BLOCK);
  assert.deepEqual(await readScales(opened.checkpoint, grid), Float32Array.of(0.3, 3, 0.007, 11));
  assert.deepEqual(await readScales(opened.checkpoint, grid, { firstRow: 1 }), Float32Array.of(0.007, 11));
});

const AS_SCALES = 'Cannot use tensor "w_scale_inv" of "model.safetensors" as scales: ';
const AS_WEIGHT = 'Cannot use tensor "w" of "model.safetensors" as a weight: ';

const BAD: readonly (readonly [string, readonly TinyTensor[], string])[] = [
  [
    "NaN scales",
    [weight, scales([2, 2], 1, NaN, 1, 1)],
    `${AS_SCALES}it holds NaN, and a scale must be positive and finite`,
  ],
  [
    "infinite scales",
    [weight, scales([1], Infinity)],
    `${AS_SCALES}it holds Infinity, and a scale must be positive and finite`,
  ],
  ["negative scales", [weight, scales([1], -2)], `${AS_SCALES}it holds -2, and a scale must be positive and finite`],
  ["zero scales", [weight, scales([1], 0)], `${AS_SCALES}it holds 0, and a scale must be positive and finite`],
  [
    "scales of a shape that fits no layout",
    [weight, scales([2, 1], 1, 1)],
    `${AS_SCALES}its shape [2,1] does not fit a weight of [160,136] in blocks of [128,128]`,
  ],
  [
    "scales without elements",
    [weight, scales([0])],
    `${AS_SCALES}its shape [0] does not fit a weight of [160,136] in blocks of [128,128]`,
  ],
  [
    "scales that would need scales",
    [weight, { name: "w_scale_inv", dtype: "F8_E4M3", shape: [1], data: Uint8Array.of(0x38) }],
    `${AS_SCALES}its dtype is F8_E4M3, not one of BF16, F16, F32`,
  ],
  ["missing scales", [weight], `${AS_WEIGHT}it is F8_E4M3 and has neither "w_scale_inv" nor "w_scale"`],
  [
    "an F8_E4M3 vector",
    [{ ...weight, shape: [ROWS * COLUMNS] }, scales([1], 1)],
    `${AS_WEIGHT}it is F8_E4M3, which is read for matrices only, and its shape is [21760]`,
  ],
  [
    "integers",
    [{ name: "w", dtype: "I64", shape: [1], data: new Uint8Array(8) }],
    `${AS_WEIGHT}its dtype is I64, not one of BF16, F16, F32, F8_E4M3`,
  ],
];

for (const [name, tensors, message] of BAD) {
  Deno.test(`readF32() refuses ${name}`, { sanitizeResources: true }, async () => {
    await using opened = await checkpointOf(...tensors);
    await assert.rejects(readF32(opened.checkpoint, "w", BLOCK), { name: "CheckpointError", message });
  });
}

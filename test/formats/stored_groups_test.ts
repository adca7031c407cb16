import { strict as assert } from "node:assert";
import { fromGroups, toGroups } from "../../src/formats/groups.ts";
import { readF32 } from "../../src/formats/quantization.ts";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import { storedBytes, storedWeight } from "../../src/formats/stored_weight.ts";
import { folderOf, safetensors, type TinyTensor } from "./tiny_checkpoint.ts";

const VALUES = Float32Array.from({ length: 6 * 64 }, (_, i) => Math.cos(i * i));
const BLOCK = [128, 128] as const;

/** `w` [6, 64] in groups, with changes to codes and factors. */
function stored(
  type: "q8" | "q4",
  codes: Partial<TinyTensor> = {},
  factors: Partial<TinyTensor> | null = {},
): TinyTensor[] {
  const groups = toGroups(type, VALUES);
  const [dtype, shape] = type === "q8" ? ["I8", [6, 64]] as const : ["U32", [6, 8]] as const;
  const perGroup = type === "q8" ? [] : [2];
  return [
    { name: "w", dtype, shape, data: groups.codes, ...codes },
    ...(factors
      ? [{ name: "w_factors", dtype: "F16", shape: [6, 2, ...perGroup], data: groups.factors, ...factors }]
      : []),
  ];
}

async function open(tensors: readonly TinyTensor[]) {
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

for (const type of ["q8", "q4"] as const) {
  Deno.test(`readF32() reads any rows of ${type}, exactly`, async () => {
    await using opened = await open(stored(type));
    const { checkpoint } = opened;
    const expected = fromGroups(type, toGroups(type, VALUES));
    assert.deepEqual(await readF32(checkpoint, "w", BLOCK), expected);
    assert.deepEqual(await readF32(checkpoint, "w", BLOCK, { firstRow: 1, rows: 3 }), expected.slice(64, 4 * 64));
    const weight = storedWeight(checkpoint, "w", BLOCK);
    assert.deepEqual([weight.type, weight.shape, storedBytes(weight)], [type, [6, 64], type === "q8" ? 408 : 240]);
  });
}

const WEIGHT = 'Cannot use tensor "w" of "model.safetensors" as a quantized weight: ';
const FACTORS = 'Cannot use tensor "w_factors" of "model.safetensors" as a quantized weight: ';

const BAD: readonly (readonly [string, TinyTensor[], string])[] = [
  ["codes without factors", stored("q8", {}, null), `${WEIGHT}it is I8 and has no "w_factors"`],
  [
    "factors of another type",
    stored("q8", {}, { dtype: "BF16" }),
    `${FACTORS}it is BF16 [6,2], and codes of [6,64] need F16 [6,2]`,
  ],
  [
    "factors of another shape",
    stored("q4", {}, { shape: [6, 4] }),
    `${FACTORS}it is F16 [6,4], and codes of [6,64] need F16 [6,2,2]`,
  ],
  [
    "a stack of codes",
    stored("q4", { shape: [2, 3, 8] }),
    `${WEIGHT}it is U32, which is read for matrices only, and its shape is [2,3,8]`,
  ],
];

for (const [name, tensors, message] of BAD) {
  Deno.test(`storedWeight() refuses ${name}`, async () => {
    await using opened = await open(tensors);
    assert.throws(() => storedWeight(opened.checkpoint, "w", BLOCK), { name: "CheckpointError", message });
  });
}

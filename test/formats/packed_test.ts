import { strict as assert } from "node:assert";
import { fromGroups } from "../../src/formats/groups.ts";
import { isQ4, packedWeight, readPackedGroups } from "../../src/formats/packed.ts";
import { readF32 } from "../../src/formats/quantization.ts";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import { storedWeight } from "../../src/formats/stored_weight.ts";
import { folderOf, safetensors, type TinyTensor } from "./tiny_checkpoint.ts";

const [N, K] = [3, 256];
const MLX_BLOCK = [1, 64] as const;

const bf16 = (...values: number[]) =>
  new Uint8Array(Uint16Array.from(new Uint32Array(Float32Array.from(values).buffer), (word) => word >>> 16).buffer);
const bytesOf = (words: Uint32Array) => new Uint8Array(words.buffer);
const codeAt = (n: number, k: number, most: number) => (n * 7 + k * 5 + (k >> 4)) % (most + 1);

/** Codes [N, K] of so many bits, the first of a word lowest. */
function words(bits: 4 | 8): Uint32Array {
  const perWord = 32 / bits;
  const packed = new Uint32Array(N * K / perWord);
  for (let i = 0; i < N * K; i++) {
    packed[Math.floor(i / perWord)]! += codeAt(Math.floor(i / K), i % K, 2 ** bits - 1) * 2 ** (bits * (i % perWord));
  }
  return packed;
}

/** Scales that bf16 holds, different for every group. */
const scaleAt = (n: number, group: number) => (1 + (n * 5 + group) % 64 / 64) * 2 ** -9;
const minimumAt = (n: number, group: number) => -(1 + (n + 3 * group) % 32 / 32) * 2 ** -6;
const factors = (at: (n: number, group: number) => number, perRow: number) =>
  bf16(...Array.from({ length: N * perRow }, (_, i) => at(Math.floor(i / perRow), i % perRow)));

const W4A16: TinyTensor[] = [
  { name: "a.weight_packed", dtype: "I32", shape: [N, K / 8], data: bytesOf(words(4)) },
  { name: "a.weight_scale", dtype: "BF16", shape: [N, 2], data: factors(scaleAt, 2) },
  { name: "a.weight_shape", dtype: "I64", shape: [2], data: new Uint8Array(new BigInt64Array([3n, 256n]).buffer) },
];

const mlx = (bits: 4 | 8, name = "a"): TinyTensor[] => [
  { name: `${name}.weight`, dtype: "U32", shape: [N, K * bits / 32], data: bytesOf(words(bits)) },
  { name: `${name}.scales`, dtype: "BF16", shape: [N, 4], data: factors(scaleAt, 4) },
  { name: `${name}.biases`, dtype: "BF16", shape: [N, 4], data: factors(minimumAt, 4) },
];

const expected = (value: (n: number, k: number) => number) =>
  Float32Array.from({ length: N * K }, (_, i) => value(Math.floor(i / K), i % K));

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

const LAYOUTS = [
  ["W4A16 in groups of 128", W4A16, true, (n: number, k: number) => (codeAt(n, k, 15) - 8) * scaleAt(n, k >> 7)],
  [
    "mlx's 4 bits in groups of 64",
    mlx(4),
    true,
    (n: number, k: number) => codeAt(n, k, 15) * scaleAt(n, k >> 6) + minimumAt(n, k >> 6),
  ],
  [
    "mlx's 8 bits in groups of 64",
    mlx(8),
    false,
    (n: number, k: number) => codeAt(n, k, 255) * scaleAt(n, k >> 6) + minimumAt(n, k >> 6),
  ],
] as const;

for (const [name, tensors, q4, value] of LAYOUTS) {
  Deno.test(`readF32() reads ${name}, exactly${q4 ? ", and as q4 they are the same" : ""}`, async () => {
    await using opened = await open(tensors);
    const { checkpoint } = opened;
    const values = expected(value);
    assert.deepEqual(await readF32(checkpoint, "a.weight", MLX_BLOCK), values);
    assert.deepEqual(
      await readF32(checkpoint, "a.weight", MLX_BLOCK, { firstRow: 1, rows: 1 }),
      values.slice(K, 2 * K),
    );
    const { type, shape } = storedWeight(checkpoint, "a.weight", MLX_BLOCK);
    assert.deepEqual([type, shape], [q4 ? "packed-q4" : "packed", [N, K]]);
    const packed = packedWeight(checkpoint.tensors, "a.weight", MLX_BLOCK)!;
    assert.equal(isQ4(packed), q4);
    if (q4) assert.deepEqual(fromGroups("q4", await readPackedGroups(checkpoint, packed)), values);
  });
}

Deno.test("openCheckpoint() takes mlx's stacks of experts apart, and gives the router its name", async () => {
  const twice = ({ name, dtype, shape, data }: TinyTensor): TinyTensor => {
    const both = new Uint8Array(2 * data.length);
    both.set(data);
    both.set(data.map((byte) => byte ^ 0xff), data.length);
    return { name: name.replace("a.", "l.mlp.switch_mlp.up_proj."), dtype, shape: [2, ...shape], data: both };
  };
  await using opened = await open([...mlx(4).map(twice), ...mlx(8, "l.mlp.gate.gate_proj")]);
  const { checkpoint } = opened;
  const parts = ["weight", "scales", "biases"];
  const experts = parts.flatMap((part) => [0, 1].map((e) => `l.mlp.experts.${e}.up_proj.${part}`));
  assert.deepEqual([...checkpoint.tensors.keys()], [...experts, ...parts.map((part) => `l.mlp.gate.${part}`)]);
  const [codes] = mlx(4);
  assert.deepEqual(
    await checkpoint.read("l.mlp.experts.1.up_proj.weight"),
    new Uint8Array(codes!.data.map((b) => b ^ 0xff)),
  );
  assert.deepEqual(await readF32(checkpoint, "l.mlp.experts.0.up_proj.weight", MLX_BLOCK), expected(LAYOUTS[1][3]));
});

const BAD: readonly (readonly [string, TinyTensor[], string])[] = [
  [
    "codes without scales",
    W4A16.slice(0, 1),
    '"a.weight_packed" of "model.safetensors" as part of a packed weight: it has no "a.weight_scale"',
  ],
  [
    "scales of no whole groups",
    W4A16.with(1, { ...W4A16[1]!, shape: [N, 3], data: factors(scaleAt, 3) }),
    '"a.weight_packed" of "model.safetensors" as part of a packed weight: I32 [3,32] are no codes of 4 or 8 bits in groups of 85.33333333333333',
  ],
  [
    "fewer minima than scales",
    mlx(4).with(2, { ...mlx(4)[2]!, shape: [N, 2], data: factors(minimumAt, 2) }),
    '"a.biases" of "model.safetensors" as part of a packed weight: BF16 [3,2] are no factors of codes [3,256] in groups of 64',
  ],
];

for (const [name, tensors, message] of BAD) {
  Deno.test(`storedWeight() refuses ${name}`, async () => {
    await using opened = await open(tensors);
    assert.throws(() => storedWeight(opened.checkpoint, "a.weight", MLX_BLOCK), {
      name: "CheckpointError",
      message: `Cannot use tensor ${message}`,
    });
  });
}

Deno.test("readPackedGroups() refuses factors beyond float16", async () => {
  await using opened = await open(W4A16.with(1, { ...W4A16[1]!, data: factors(() => 1e5, 2) }));
  const packed = packedWeight(opened.checkpoint.tensors, "a.weight", MLX_BLOCK)!;
  await assert.rejects(readPackedGroups(opened.checkpoint, packed), /a factor is Infinity as float16/);
});

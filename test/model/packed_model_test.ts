/** Whole models in the published 4-bit layouts: the same codes give the same bits whichever way they are laid out. */
import { strict as assert } from "node:assert";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { type Groups, toGroups } from "../../src/formats/groups.ts";
import { readF32 } from "../../src/formats/quantization.ts";
import { type Checkpoint, openCheckpoint } from "../../src/formats/safetensors.ts";
import { checkTensors } from "../../src/model/check_tensors.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import { concat, folderOf, safetensors, type TinyTensor } from "../formats/tiny_checkpoint.ts";
import { Stages } from "./stages.ts";

const RING_NANO = new URL("../../models/ring-nano", import.meta.url).pathname;
const TOKENS = Uint32Array.from({ length: 24 }, (_, i) => (i * 977 + 5) % 4000);
const EXPERT = /^(.*\.mlp)\.experts\.(\d+)\.(.*)\.weight$/;
const EXPERTS = 16;

/** How a routed expert's matrix [N, K] is laid out. */
type Layout = (name: string, shape: readonly number[], groups: Groups) => TinyTensor[];

/** Our own. */
const ringlet: Layout = (name, [N, K], { codes, factors }) => [
  { name, dtype: "U32", shape: [N!, K! / 8], data: codes },
  { name: `${name}_factors`, dtype: "F16", shape: [N!, K! / 32, 2], data: factors },
];

/** Every other one of float16 factors: scales, or minima. */
function everyOther(factors: Uint8Array, first: 0 | 1): Uint8Array {
  const halves = new Uint16Array(factors.buffer as ArrayBuffer);
  return new Uint8Array(halves.filter((_, i) => i % 2 === first).buffer);
}

const mlx: Layout = (name, [N, K], { codes, factors }) => {
  const factor = (part: string, first: 0 | 1): TinyTensor => ({
    ...{ name: name.replace(/weight$/, part), dtype: "F16", shape: [N!, K! / 32] },
    data: everyOther(factors, first),
  });
  return [{ name, dtype: "U32", shape: [N!, K! / 8], data: codes }, factor("scales", 0), factor("biases", 1)];
};

/** Ring-nano with its experts in 4 bits; `change` sees each matrix's groups before they are laid out. */
async function tensorsOf(
  layout: Layout,
  checkpoint: Checkpoint,
  change = (groups: Groups) => groups,
): Promise<TinyTensor[]> {
  const tensors: TinyTensor[] = [];
  for (const { name, dtype, shape } of checkpoint.tensors.values()) {
    if (!EXPERT.test(name)) tensors.push({ name, dtype, shape, data: await checkpoint.read(name) });
    else {
      const groups = toGroups("q4", await readF32(checkpoint, name, [128, 128]));
      tensors.push(...layout(name, shape, change(groups)));
    }
  }
  return tensors;
}

/** As mlx names them: a layer's experts in one stack, the router with a part of its own. */
function stacked(tensors: readonly TinyTensor[]): TinyTensor[] {
  const stacks = new Map<string, TinyTensor[]>();
  const others: TinyTensor[] = [];
  for (const tensor of tensors) {
    const [, mlp, expert, part] = /^(.*\.mlp)\.experts\.(\d+)\.(.*)$/.exec(tensor.name) ?? [];
    if (part === undefined) {
      others.push({ ...tensor, name: tensor.name.replace(/\.mlp\.gate\.weight$/, ".mlp.gate.gate_proj.weight") });
      continue;
    }
    const name = `${mlp}.switch_mlp.${part}`;
    stacks.set(name, stacks.get(name) ?? []);
    stacks.get(name)![Number(expert)] = tensor;
  }
  return [
    ...others,
    ...stacks.entries().map(([name, parts]) => {
      assert.equal(parts.length, EXPERTS);
      return { ...parts[0]!, name, shape: [EXPERTS, ...parts[0]!.shape], data: concat(parts.map(({ data }) => data)) };
    }),
  ];
}

/** Logits of a model of these tensors. */
async function logits(tensors: readonly TinyTensor[], quantization_config: object): Promise<Float32Array> {
  const config = JSON.parse(await Deno.readTextFile(`${RING_NANO}/config.json`));
  await using folder = await folderOf({
    "config.json": JSON.stringify({ ...config, quantization_config }),
    "model.safetensors": safetensors(tensors),
  });
  using checkpoint = await openCheckpoint(folder.path);
  checkTensors(checkpoint, await loadConfig(folder.path));
  using stages = await Stages.open(folder.path, () => WasmBackend.open());
  return await stages.logits(TOKENS, [17, 1, 6]);
}

Deno.test("a model in mlx's layout gives the same bits as in ours", async () => {
  using checkpoint = await openCheckpoint(RING_NANO);
  const own = await logits(await tensorsOf(ringlet, checkpoint), { quant_method: "ringlet" });
  const packed = stacked(await tensorsOf(mlx, checkpoint));
  assert.ok(packed.some(({ name }) => name.endsWith(".mlp.switch_mlp.up_proj.biases")));
  assert.deepEqual(await logits(packed, { group_size: 32, bits: 4 }), own);
});

/** W4A16 of the same codes: symmetric, so the minimum is -8 scales, and in groups of 64. */
const w4a16: Layout = (name, [N, K], { codes, factors }) => {
  const halves = new Uint16Array(factors.buffer);
  const shape = new Uint8Array(new BigInt64Array([BigInt(N!), BigInt(K!)]).buffer);
  return [
    { name: `${name}_packed`, dtype: "I32", shape: [N!, K! / 8], data: codes },
    {
      ...{ name: `${name}_scale`, dtype: "F16", shape: [N!, K! / 64] },
      data: new Uint8Array(halves.filter((_, i) => i % 4 === 0).buffer),
    },
    { name: `${name}_shape`, dtype: "I64", shape: [2], data: shape },
  ];
};

/** Groups as W4A16 could have them. */
function symmetric({ codes, factors }: Groups): Groups {
  const before = new Float16Array(factors.buffer);
  const after = Float16Array.from(before, (_, i) => (i % 2 ? -8 : 1) * before[i - i % 4]!);
  return { codes, factors: new Uint8Array(after.buffer) };
}

Deno.test("a model in compressed-tensors' W4A16 gives the same bits as in ours", async () => {
  using checkpoint = await openCheckpoint(RING_NANO);
  const own = await logits(await tensorsOf(ringlet, checkpoint, symmetric), { quant_method: "ringlet" });
  const quantization = {
    quant_method: "compressed-tensors",
    config_groups: { group_0: { weights: { num_bits: 4, type: "int", symmetric: true, group_size: 64 } } },
    ignore: ["lm_head"],
  };
  assert.deepEqual(await logits(await tensorsOf(w4a16, checkpoint, symmetric), quantization), own);
});

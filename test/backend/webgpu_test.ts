/** The WebGPU backend's results beside the table of cases: over tensors in parts, and of rows among other rows. */
import { strict as assert } from "node:assert";
import type { Backend, LinearAttention, Ops, Router, StepInput } from "../../src/backend/backend.ts";
import type { Tensor, WeightType } from "../../src/backend/tensor.ts";
import { GpuTensor } from "../../src/backend/webgpu/memory.ts";
import { WebGpuBackend, type WebGpuOptions } from "../../src/backend/webgpu/webgpu_backend.ts";
import { cacheOf, withPages } from "./attention_cases.ts";
import { CaseMaker, hiddenStep } from "./case_maker.ts";
import { CASES, checkCase } from "./cases.ts";
import { GPU, testOnGpu } from "../gpu.ts";
import { VARIANTS, viewOf } from "./webgpu_device.ts";
import { matrixDevice, testOnMatrices } from "./matrix_device.ts";

/** Cases whose activations fit into so many bytes, and whose weights do not. */
const SPLIT_CASES: readonly (readonly [maxBindingBytes: number, cases: RegExp])[] = [
  [512, /^embed \w+ \[5, 37, 20\]/],
  [1152, /^embed q[48]/],
  [1024, /^(project \w+ \[1, 64\]|projectAdd \w+ \[1, 132\]|gateUp \w+ \[1, 128\])/],
  [1024, /^experts (f32|bf16|f16|f8_e4m3) 1 rows/],
  [4096, /^experts q[48] 1 rows/],
  [9856, /^experts (f32|bf16|f16) 41 rows/],
  [4144, /^head and candidates \w+ rows 0,2 of 3/],
];

/** Collects the tensors that a backend makes. */
function tensorsOf(backend: Backend): Tensor[] {
  const made: Tensor[] = [];
  const make = backend.tensor.bind(backend);
  backend.tensor = (...wanted) => {
    const tensor = make(...wanted);
    made.push(tensor);
    return tensor;
  };
  return made;
}

const isSplit = (tensor: Tensor) => tensor instanceof GpuTensor && tensor.parts.length > 1;

testOnGpu("every operation gives the same results over weights in parts", async () => {
  for (const [maxBindingBytes, pattern] of SPLIT_CASES) {
    using backend = await WebGpuBackend.open({ gpu: GPU, maxBindingBytes });
    const chosen = CASES.filter(({ name }) => pattern.test(name));
    assert.ok(chosen.length > 0, `no case matches ${pattern}`);
    for (const opCase of chosen) {
      const made = tensorsOf(backend);
      await checkCase(backend, opCase);
      assert.ok(made.some(isSplit), `${opCase.name}: nothing is larger than ${maxBindingBytes} bytes`);
    }
  }
});

const WIDTH = 32;

/** A page for each slot. */
const BLOCKS = [1, 2];

/** Types of a small model's weights: of as many kinds as there are, or as the policy of 4 bits has them. */
const MIXED = {
  linear: "bf16",
  softmax: "f16",
  gate: "bf16",
  back: "f32",
  up: "q8",
  down: "bf16",
  expertUp: "f8_e4m3",
  expertDown: "q4",
  sharedUp: "f8_e4m3",
  sharedDown: "q4",
  head: "bf16",
  router: "f32",
} as const;
const QUANTIZED = {
  linear: "q8",
  softmax: "q8",
  gate: "q8",
  back: "q8",
  up: "q8",
  down: "q8",
  expertUp: "q4",
  expertDown: "q4",
  sharedUp: "q8",
  sharedDown: "q8",
  head: "q8",
  router: "f32",
} as const;
/** All alike, in heads that a processor's lanes share out. */
const ALIKE = Object.fromEntries(Object.keys(MIXED).map((name) => [name, "bf16"])) as Record<
  keyof typeof MIXED,
  "bf16"
>;

/** A layer of each kind and a head, recorded for several capacities over the same tensors. */
function smallModel(
  make: CaseMaker,
  rows: number,
  types: Readonly<Record<keyof typeof MIXED, WeightType>> = MIXED,
): { build: (ops: Ops) => void; logits: Tensor } {
  const [heads, D, I, E, K, V] = [2, types === ALIKE ? 64 : 16, 32, 8, 2, 50];
  const f32 = (label: string, ...shape: number[]) => make.empty(label, [rows, ...shape]);
  const hidden = f32("hidden", WIDTH);
  const [qkv, gate, mixed] = [f32("qkv", 3 * heads * D), f32("gate", heads * D), f32("mixed", heads * D)];
  const [dense, experts, logits] = [f32("dense", I), f32("experts", K, I), f32("logits", V)];
  const state = make.empty("state", [3, heads, D, D]);
  const cache = cacheOf(make, { blocks: BLOCKS }, [heads, D]);
  const routing = { ids: make.empty("ids", [rows, K], "u32"), weights: f32("weights", K) };
  const [norm, wide] = [make.norm(WIDTH), [3 * heads * D, WIDTH]];
  const how: LinearAttention = {
    ...{ heads, kvHeads: heads, headDim: D, silu: false, queryNorm: make.norm(D), keyNorm: make.norm(D) },
    ...{ rope: make.rope(64, 8), logDecay: [-0.1, -0.01], groupNorm: make.norm(heads * D), groups: 2 },
  };
  const router: Router = {
    ...{ score: "sigmoid", groups: 2, groupsKept: 1, perToken: K, normalize: true, scale: 2.5, bias: null },
  };
  const [linear, softmax] = [make.linear(types.linear, wide), make.linear(types.softmax, wide)];
  const [gateMap, back] = [make.linear(types.gate, [heads * D, WIDTH]), make.linear(types.back, [WIDTH, heads * D])];
  const [up, down] = [make.weight(types.up, [I, WIDTH]), make.linear(types.down, [WIDTH, I])];
  const [expertUp, expertDown] = [
    make.weight(types.expertUp, [E, I, WIDTH]),
    make.weight(types.expertDown, [E, WIDTH, I]),
  ];
  const [map, head] = [make.weight(types.router, [E, WIDTH]), make.weight(types.head, [V, WIDTH])];
  const beside = {
    ...{
      out: dense,
      x: dense,
      gate: make.weight(types.sharedUp, [I, WIDTH]),
      up: make.weight(types.sharedUp, [I, WIDTH]),
    },
    down: make.weight(types.sharedDown, [WIDTH, I]),
  };
  const build = (ops: Ops) => {
    ops.receive(hidden);
    ops.project([qkv, gate], hidden, norm, [linear, gateMap]);
    ops.linearAttention(mixed, qkv, gate, state, how);
    ops.projectAdd(hidden, mixed, back);
    ops.project([qkv], hidden, norm, [softmax]);
    ops.softmaxAttention(mixed, qkv, cache, how);
    ops.projectAdd(hidden, mixed, back);
    ops.route(routing, hidden, norm, map, router);
    ops.expertsGateUp(experts, hidden, norm, routing, expertUp, expertUp, beside);
    ops.expertsDownAdd(hidden, experts, routing, expertDown, beside);
    ops.gateUp(dense, hidden, norm, up, up);
    ops.projectAdd(hidden, dense, down);
    ops.head(logits, hidden, norm, head);
  };
  return { build, logits };
}

/** Rows of one sequence, the same wherever they run; the last one is the output. */
const ROWS = new Map(
  [0, 1, 2].map((slot) => [slot, hiddenStep(WIDTH, [[slot, 0, 12]], [], slot + 7).rows as Float32Array]),
);

function stepOf(segments: readonly (readonly [slot: number, start: number, rows: number])[]): StepInput {
  const rows = segments.flatMap(([slot, start, count]) => [
    ...ROWS.get(slot)!.subarray(start * WIDTH, (start + count) * WIDTH),
  ]);
  let end = 0;
  const step = {
    segments: segments.map(([slot, start, rows]) => ({ slot, start, rows })),
    outputs: Uint32Array.from(segments, ([, , rows]) => (end += rows) - 1),
    rows: Float32Array.from(rows),
  };
  return withPages([step], { blocks: BLOCKS }, 1)[0]!;
}

const TYPES = [["", MIXED], [", quantized", QUANTIZED], [", all weights of one type", ALIKE]] as const;
for (
  const [{ name, features, missing }, [title, types]] of VARIANTS.flatMap((each) =>
    TYPES.map((of) => [each, of] as const)
  )
) {
  testOnGpu(`run() ${name} gives a row the same bits alone and among the rows of others${title}`, async () => {
    using backend = await WebGpuBackend.open({ gpu: GPU, device: await viewOf(features) });
    const make = new CaseMaker(backend, 3);
    const { build, logits } = smallModel(make, 16, types);
    await make.written();
    const plans = {
      one: backend.record({ rows: 1, segments: 1, outputs: 1, pages: 1 }, build),
      many: backend.record({ rows: 8, segments: 3, outputs: 3, pages: 1 }, build),
    };
    const run = async (plan: keyof typeof plans, ...segments: [number, number, number][]) => {
      const elements = segments.length * 50;
      const [rows] = await backend.run(plans[plan], stepOf(segments), [{ tensor: logits, elements }]);
      return segments.map((_, i) => new Uint32Array(rows!).slice(i * 50, (i + 1) * 50));
    };
    const alone = [];
    for (const slot of [0, 1, 2]) {
      await run("many", [slot, 0, 4]);
      alone.push([...await run("one", [slot, 4, 1]), ...await run("one", [slot, 5, 1])]);
    }
    for (const slot of [0, 1, 2]) await run("many", [slot, 0, 4]);
    const [first0, first1] = await run("many", [0, 4, 1], [1, 4, 1]);
    const [second1, first2] = await run("many", [1, 5, 1], [2, 4, 1]);
    const [second2, , second0] = await run("many", [2, 5, 1], [1, 6, 6], [0, 5, 1]);
    assert.deepEqual([[first0, second0], [first1, second1], [first2, second2]], alone);
  }, missing);
}

const testManyRows = (
  options: () => Promise<WebGpuOptions>,
  rows: number,
  outputs: number,
  types: Readonly<Record<keyof typeof MIXED, WeightType>> = MIXED,
) =>
async () => {
  using backend = await WebGpuBackend.open(await options());
  const make = new CaseMaker(backend, 3);
  const { build, logits } = smallModel(make, rows, types);
  await make.written();
  const plan = backend.record({ rows, segments: 3, outputs, pages: 1 }, build);
  const run = async (...segments: [number, number, number][]) => {
    const [rows] = await backend.run(plan, stepOf(segments), [{ tensor: logits, elements: segments.length * 50 }]);
    return segments.map((_, i) => new Uint32Array(rows!).slice(i * 50, (i + 1) * 50));
  };
  const alone = [];
  for (const slot of [0, 1, 2]) {
    await run([slot, 0, 7]);
    alone.push(...await run([slot, 7, 5]));
  }
  await run([1, 0, 7], [0, 0, 7], [2, 0, 7]);
  const [second, first, third] = await run([1, 7, 5], [0, 7, 5], [2, 7, 5]);
  assert.deepEqual([first, second, third], alone);
};

for (const { name, features, missing } of VARIANTS) {
  const title = `run() ${name} gives a row the same bits alone and among the rows of others`;
  const options = async () => ({ gpu: GPU, device: await viewOf(features) });
  testOnGpu(`${title}, a batch at once`, testManyRows(options, 24, 12), missing);
  testOnGpu(`${title}, many at once`, testManyRows(options, 40, 3), missing);
}

testOnMatrices(
  "run() on matrix units gives a row the same bits alone and among the rows of others",
  testManyRows(async () => ({ gpu: "dawn", device: await matrixDevice() }), 40, 3, ALIKE),
);

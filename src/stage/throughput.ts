/** How fast a backend multiplies: one row, for which it reads weights, and many, for which it computes, as a model's steps do. */
import type { Backend, Norm, Plan, Router } from "../backend/backend.ts";
import type { Tensor, Weight } from "../backend/tensor.ts";

interface Sizes {
  /** Weights [N, K] that one row is multiplied with in turn: on a GPU more than caches hold. */
  readonly read: { readonly shape: readonly [N: number, K: number]; readonly weights: number; readonly times: number };
  /** Rows that are multiplied with a weight [wide, hidden], and each with an expert's of [inner, hidden] and back. */
  readonly prompt: {
    readonly rows: number;
    readonly hidden: number;
    readonly wide: number;
    readonly inner: number;
    readonly experts: number;
    readonly times: number;
  };
}

/** As a prompt of 1,024 tokens in Ring-mini-linear-2.0 has: 32 rows an expert. */
const GPU: Sizes = {
  read: { shape: [16384, 4096], weights: 2, times: 16 },
  prompt: { rows: 1024, hidden: 2048, wide: 4096, inner: 512, experts: 32, times: 1 },
};

/** Where the CPU computes, by WASM or as a GPU. */
const CPU: Sizes = {
  read: { shape: [2048, 4096], weights: 2, times: 2 },
  prompt: { rows: 64, hidden: 512, wide: 1024, inner: 128, experts: 8, times: 1 },
};

/** Times that the experts' weights are used for each time of the other: about as many operations. */
const EXPERTS_TIMES = 2;

const BF16_BYTES = 2;

export interface Throughput {
  /** Bytes a second of weights in bf16 that are multiplied with one row. */
  readonly bandwidth: number;
  /** Operations a second of products of many rows in f32, a multiplication and an addition counted as two. */
  readonly flops: number;
  /** The same by matrix units in f16; null where kernels use none. */
  readonly matrixFlops: number | null;
}

/**
 * Measures by our clock, as devices' clocks differ in how fine they are, each rate by runs that take `least` milliseconds together;
 * `matrices` says whether kernels use such units.
 */
export async function measureThroughput(backend: Backend, least: number, matrices = false): Promise<Throughput> {
  const { read, prompt } = backend.onHost ? CPU : GPU;
  const bytes = read.times * BF16_BYTES * read.shape[0] * read.shape[1];
  const bandwidth = 1e3 * bytes / await millisOf(backend, await readingOne(backend, read), least);
  const rate = async (sizes: Sizes["prompt"]) =>
    1e3 * flopsOf(sizes) / await millisOf(backend, await multiplyingMany(backend, sizes), least);
  if (!matrices) return { bandwidth, flops: await rate(prompt), matrixFlops: null };
  const odd = { ...prompt, hidden: prompt.hidden - 4, inner: prompt.inner - 4 }; // they take rows of multiples of eight
  return { bandwidth, flops: await rate(odd), matrixFlops: await rate(prompt) };
}

function flopsOf({ rows, hidden, wide, inner, times }: Sizes["prompt"]): number {
  return times * 2 * rows * hidden * (wide + EXPERTS_TIMES * 3 * inner);
}

interface Run {
  readonly rows: number;
  readonly plan: Plan;
  /** What it writes last. */
  readonly out: Tensor;
}

/** A tensor of values that neither vanish nor grow. */
async function filled(backend: Backend, dtype: "f32" | "bf16", shape: readonly number[], centre = 0): Promise<Tensor> {
  const tensor = backend.tensor(`probe [${shape}]`, dtype, shape);
  await backend.fill(tensor, { seed: shape[0]!, spread: centre === 0 ? 1 / shape.at(-1)! : 0, centre });
  return tensor;
}

async function weight(backend: Backend, ...shape: readonly number[]): Promise<Weight> {
  return { values: await filled(backend, "bf16", shape), scales: null };
}

/** out [1, N] += x [1, K] @ W^T, with several W [N, K] in turn. */
async function readingOne(backend: Backend, { shape: [N, K], weights, times }: Sizes["read"]): Promise<Run> {
  const [out, x] = [await filled(backend, "f32", [1, N]), await filled(backend, "f32", [1, K])];
  const all: Weight[] = [];
  for (let i = 0; i < weights; i++) all.push(await weight(backend, N, K));
  const plan = backend.record({ rows: 1, segments: 1, outputs: 0 }, (ops) => {
    for (let i = 0; i < times; i++) ops.projectAdd(out, x, { weight: all[i % weights]!, bias: null });
  });
  return { rows: 1, plan, out };
}

const ROUTER: Router = {
  ...{ score: "sigmoid", groups: 1, groupsKept: 1, perToken: 1, normalize: false, scale: 1, bias: null },
};

/** out [T, N] += hidden [T, H] @ W^T, and hidden += its experts' products. */
async function multiplyingMany(backend: Backend, sizes: Sizes["prompt"]): Promise<Run> {
  const { rows, hidden: H, wide, inner, experts, times } = sizes;
  const f32 = (width: number) => filled(backend, "f32", [rows, width]);
  const [hidden, out, between] = [await f32(H), await f32(wide), backend.tensor("inner", "f32", [rows, 1, inner])];
  const norm: Norm = { weight: await filled(backend, "f32", [H], 1), eps: 1e-6 };
  const routing = { ids: backend.tensor("ids", "u32", [rows, 1]), weights: backend.tensor("shares", "f32", [rows, 1]) };
  const [dense, map] = [await weight(backend, wide, H), await weight(backend, experts, H)];
  const [gate, up] = [await weight(backend, experts, inner, H), await weight(backend, experts, inner, H)];
  const down = await weight(backend, experts, H, inner);
  const plan = backend.record({ rows, segments: 1, outputs: 0 }, (ops) => {
    for (let i = 0; i < times; i++) {
      ops.projectAdd(out, hidden, { weight: dense, bias: null });
      for (let j = 0; j < EXPERTS_TIMES; j++) {
        ops.route(routing, hidden, norm, map, ROUTER);
        ops.expertsGateUp(between, hidden, norm, routing, gate, up);
        ops.expertsDownAdd(hidden, between, routing, down);
      }
    }
  });
  return { rows, plan, out: hidden };
}

/** Milliseconds of a run: of as many that follow each other as take `least`, so that waiting for the last one hardly counts. */
async function millisOf(backend: Backend, { rows, plan, out }: Run, least: number): Promise<number> {
  const step = { segments: [{ slot: 0, start: 0, rows }], outputs: new Uint32Array(), rows: new Uint32Array() };
  const batch = async (times: number) => {
    const begun = performance.now();
    for (let i = 1; i < times; i++) await backend.run(plan, step, []);
    await backend.run(plan, step, [{ tensor: out, elements: 1 }]); // which waits for all
    return (performance.now() - begun) / times;
  };
  await batch(1); // compiles
  let times = 1;
  while (times * await batch(times) < least) times *= 2;
  return Math.min(await batch(times), await batch(times), await batch(times));
}

/** Every operation on the shapes of the full-size model, over weights that no cache holds. */
import type { Backend, Linear, Norm, Ops, Router, Routing, StepInput } from "../src/backend/backend.ts";
import { byteLength, type DataType, type Tensor, type Weight } from "../src/backend/tensor.ts";
import { GROUP } from "../src/formats/groups.ts";
import { factorShape } from "../src/formats/stored_groups.ts";
import { parseConfig } from "../src/model/config.ts";
import { distinctExperts } from "../src/model/work.ts";
import type { Quantize } from "../src/pipeline/messages.ts";
import config from "./ring-mini-linear-2.0.json" with { type: "json" };

const MINI = parseConfig(config);
const { hidden: H, heads, kvHeads, headDim: D, experts: E, expertsPerToken: K, moeIntermediate: I, vocab: V } = MINI;

/** What a plan does, several times over so that each time reads other weights. */
export interface Timed {
  readonly build: (ops: Ops) => void;
  readonly step: StepInput;
  readonly times: number;
  /** Bytes that must be moved and operations that must be computed, each time. */
  readonly bytes: number;
  readonly flops: number;
}

export interface KernelCase {
  readonly name: string;
  readonly prepare: (make: Maker) => Promise<Timed>;
}

/** Makes filled tensors. */
export class Maker {
  #seed = 1;

  /** `cold` bytes are more than the device's caches hold; weights are held as `quantize` says. */
  constructor(readonly backend: Backend, readonly cold: number, readonly quantize: Quantize = "none") {}

  async filled(dtype: DataType, shape: readonly number[], spread = 1, centre = 0): Promise<Tensor> {
    const tensor = this.backend.tensor("filled", dtype, shape);
    await this.backend.fill(tensor, { seed: this.#seed++, spread, centre });
    return tensor;
  }

  /** A matrix, or a stack of experts' matrices. */
  async weight(shape: readonly number[]): Promise<Weight> {
    if (this.quantize === "none") return await this.router(shape);
    const type = this.quantize === "q4" && shape.length === 3 ? "q4" : "q8";
    const values = await this.filled(type, shape);
    const factors = await this.filled("f16", factorShape(type, shape), 1e-3);
    return { values, scales: { factors, block: [1, GROUP] } };
  }

  /** A matrix that no policy quantizes. */
  async router(shape: readonly number[]): Promise<Weight> {
    return { values: await this.filled("bf16", shape, Math.sqrt(3 / shape.at(-1)!)), scales: null };
  }

  async linear(N: number, K: number): Promise<Linear> {
    return { weight: await this.weight([N, K]), bias: null };
  }

  async norm(size: number): Promise<Norm> {
    return { weight: await this.filled("f32", [size], 0.2, 1), eps: 1e-6 };
  }

  /** As many as make one set's reads cold. */
  async copies<T>(bytes: number, create: () => Promise<T>): Promise<T[]> {
    const all: T[] = [];
    for (let size = 0; size < this.cold; size += bytes) all.push(await create());
    return all;
  }

  routing(rows: number): Routing {
    const { backend } = this;
    return { ids: backend.tensor("ids", "u32", [rows, K]), weights: backend.tensor("weights", "f32", [rows, K]) };
  }
}

const steps = (segments: StepInput["segments"], outputs = 0): StepInput => ({
  segments,
  outputs: Uint32Array.from({ length: outputs }, (_, row) => row),
  rows: new Uint32Array(),
});

/** `rows` rows of one sequence. */
const rowsOf = (rows: number, outputs = 0) => steps([{ slot: 0, start: 0, rows }], outputs);

const bytesOf = ({ values, scales }: Weight) => byteLength(values) + (scales === null ? 0 : byteLength(scales.factors));

const sum = (weights: readonly Weight[]) => weights.reduce((total, weight) => total + bytesOf(weight), 0);

/** Matrix products of T rows: bytes of the weights and the activations, operations of both. */
function productWork(T: number, weights: readonly Weight[]): { bytes: number; flops: number } {
  const sizes = weights.map(({ values }) => values.shape as [number, number]);
  return {
    bytes: sum(weights) + sizes.reduce((total, [N, K]) => total + 4 * T * (N + K), 0),
    flops: sizes.reduce((total, [N, K]) => total + 2 * T * N * K, 0),
  };
}

function project(title: string, T: number, widths: readonly number[]): KernelCase {
  return {
    name: `project ${title}, ${T} rows of ${H} to ${widths}`,
    async prepare(make) {
      const hidden = await make.filled("f32", [T, H]);
      const outs = widths.map((N) => make.backend.tensor("out", "f32", [T, N]));
      const bytes = widths.reduce((total, N) => total + 2 * N * H, 0);
      const sets = await make.copies(bytes, async () => ({
        norm: await make.norm(H),
        maps: await Promise.all(widths.map((N) => make.linear(N, H))),
      }));
      const build = (ops: Ops) => {
        for (const { norm, maps } of sets) ops.project(outs, hidden, norm, maps);
      };
      return {
        build,
        step: rowsOf(T),
        times: sets.length,
        ...productWork(T, sets[0]!.maps.map(({ weight }) => weight)),
      };
    },
  };
}

function projectAdd(title: string, T: number, width: number): KernelCase {
  return {
    name: `projectAdd ${title}, ${T} rows of ${width} to ${H}`,
    async prepare(make) {
      const [hidden, x] = [await make.filled("f32", [T, H]), await make.filled("f32", [T, width])];
      const maps = await make.copies(2 * H * width, () => make.linear(H, width));
      const build = (ops: Ops) => maps.forEach((map) => ops.projectAdd(hidden, x, map));
      return { build, step: rowsOf(T), times: maps.length, ...productWork(T, [maps[0]!.weight]) };
    },
  };
}

function gateUp(title: string, T: number, width: number): KernelCase {
  return {
    name: `gateUp ${title}, ${T} rows of ${H} to ${width}`,
    async prepare(make) {
      const [hidden, out] = [await make.filled("f32", [T, H]), make.backend.tensor("out", "f32", [T, width])];
      const sets = await make.copies(4 * H * width, async () => ({
        norm: await make.norm(H),
        gate: await make.weight([width, H]),
        up: await make.weight([width, H]),
      }));
      const build = (ops: Ops) => sets.forEach(({ norm, gate, up }) => ops.gateUp(out, hidden, norm, gate, up));
      return { build, step: rowsOf(T), times: sets.length, ...productWork(T, [sets[0]!.gate, sets[0]!.up]) };
    },
  };
}

const ROUTER: Router = {
  ...{ score: MINI.scoreFunction, groups: MINI.groups, groupsKept: MINI.groupsKept, perToken: K },
  ...{ normalize: MINI.normTopK, scale: MINI.routedScale, bias: null },
};

function route(T: number): KernelCase {
  return {
    name: `route ${T} rows to ${K} of ${E}`,
    async prepare(make) {
      const [hidden, routing] = [await make.filled("f32", [T, H]), make.routing(T)];
      const maps = await make.copies(2 * E * H, () => make.router([E, H]));
      const norms = await Promise.all(maps.map(() => make.norm(H)));
      const build = (ops: Ops) => maps.forEach((map, i) => ops.route(routing, hidden, norms[i]!, map, ROUTER));
      return { build, step: rowsOf(T), times: maps.length, ...productWork(T, [maps[0]!]) };
    },
  };
}

/** Experts of T rows, gate and up or down, behind their router, which also prepares the order in which experts are read. */
function experts(part: "gateUp" | "down", T: number): KernelCase {
  return {
    name: `route and experts ${part}, ${T} rows, ${K} of ${E}`,
    async prepare(make) {
      const [hidden, x] = [await make.filled("f32", [T, H]), await make.filled("f32", [T, K, I])];
      const [norm, routing] = [await make.norm(H), make.routing(T)];
      const [gate, up] = part === "gateUp"
        ? [await make.weight([E, I, H]), await make.weight([E, I, H])]
        : [null, null];
      const down = part === "down" ? await make.weight([E, H, I]) : null;
      const matrices = part === "gateUp" ? 2 : 1;
      const bytes = 2 * E * H +
        sum([gate, up, down].filter((weight) => weight !== null)) * distinctExperts(E, K, T) / E +
        4 * T * (H + K * I);
      const maps = await make.copies(bytes, () => make.router([E, H])); // each chooses other experts
      const build = (ops: Ops) => {
        for (const map of maps) {
          ops.route(routing, hidden, norm, map, ROUTER);
          if (down) ops.expertsDownAdd(hidden, x, routing, down);
          else ops.expertsGateUp(x, hidden, norm, routing, gate!, up!);
        }
      };
      const flops = 2 * T * E * H + 2 * matrices * T * K * H * I;
      return { build, step: rowsOf(T), times: maps.length, bytes, flops };
    },
  };
}

function head(T: number): KernelCase {
  return {
    name: `head, ${T} rows of ${H} to ${V}, and 64 candidates`,
    async prepare(make) {
      const [hidden, norm, map] = [await make.filled("f32", [T, H]), await make.norm(H), await make.weight([V, H])];
      const tensor = (dtype: "f32" | "u32", ...shape: number[]) => make.backend.tensor("out", dtype, shape);
      const logits = tensor("f32", T, V);
      const found = { ids: tensor("u32", T, 64), logits: tensor("f32", T, 64), logSumExp: tensor("f32", T) };
      const build = (ops: Ops) => {
        ops.head(logits, hidden, norm, map);
        ops.candidates(found, logits);
      };
      return { build, step: rowsOf(T, T), times: 1, ...productWork(T, [map]) };
    },
  };
}

/** Sequences side by side, each with `rows` rows after `start` positions. */
function segmentsOf(sequences: number, start: number, rows: number): StepInput["segments"] {
  return Array.from({ length: sequences }, (_, slot) => ({ slot, start, rows }));
}

async function headsOf(make: Maker, rope: Tensor | null, kv: number) {
  const [queryNorm, keyNorm] = [await make.norm(D), await make.norm(D)];
  return { heads, kvHeads: kv, headDim: D, silu: false, queryNorm, keyNorm, rope };
}

function linearAttention(sequences: number, rows: number): KernelCase {
  return {
    name: `linearAttention, ${sequences} sequences, ${rows} rows each`,
    async prepare(make) {
      const T = sequences * rows;
      const rope = await make.filled("f32", [1024, 2, MINI.rotaryDim / 2]);
      const how = {
        ...await headsOf(make, rope, heads),
        logDecay: Array.from({ length: heads }, (_, h) => -(2 ** (-8 * (h + 1) / heads))),
        groupNorm: await make.norm(heads * D),
        groups: MINI.groupNorm,
      };
      const [qkv, gate] = [await make.filled("f32", [T, 3 * heads * D]), await make.filled("f32", [T, heads * D])];
      const out = make.backend.tensor("out", "f32", [T, heads * D]);
      const shape = [sequences, heads, D, D];
      const states = await make.copies(4 * sequences * heads * D * D, () => make.filled("f32", shape));
      const build = (ops: Ops) => states.forEach((state) => ops.linearAttention(out, qkv, gate, state, how));
      const bytes = 2 * byteLength(states[0]!) + 4 * T * 5 * heads * D;
      return {
        build,
        step: steps(segmentsOf(sequences, 512, rows)),
        times: states.length,
        bytes,
        flops: 5 * T * heads * D * D,
      };
    },
  };
}

/** Positions of a page of the cache, and pages of its first block; each block after it is as large as all before. */
const PAGE = 256;
const FIRST_PAGES = 32;

/** Pages of the blocks that hold so many. */
function blocksFor(pages: number): number[] {
  const blocks = [Math.min(pages, FIRST_PAGES)];
  for (let sum = FIRST_PAGES; sum < pages; sum *= 2) blocks.push(Math.min(sum, pages - sum));
  return blocks;
}

function softmaxAttention(type: "f32" | "f16", sequences: number, start: number, rows: number): KernelCase {
  return {
    name: `softmaxAttention ${type}, ${sequences} sequences, ${rows} rows each after ${start}`,
    async prepare(make) {
      const [T, context] = [sequences * rows, start + rows];
      const rope = await make.filled("f32", [context, 2, MINI.rotaryDim / 2]);
      const how = await headsOf(make, rope, kvHeads);
      const qkv = await make.filled("f32", [T, (heads + 2 * kvHeads) * D]);
      const out = make.backend.tensor("out", "f32", [T, heads * D]);
      const perSlot = Math.ceil(context / PAGE);
      const block = (pages: number) => make.filled(type, [pages, kvHeads, PAGE, D]);
      const cacheOf = (blocks: number[]) =>
        Promise.all(blocks.map(async (pages) => ({ keys: await block(pages), values: await block(pages) })));
      const size = (type === "f16" ? 2 : 4) * sequences * context * kvHeads * D;
      const caches = await make.copies(2 * size, () => cacheOf(blocksFor(sequences * perSlot)));
      const build = (ops: Ops) => {
        for (const cache of caches) ops.softmaxAttention(out, qkv, cache, how);
      };
      const pages = Array.from(
        { length: sequences },
        (_, slot) => Array.from({ length: perSlot }, (_, n) => slot * perSlot + n),
      );
      const pairs = sequences * (rows * start + rows * (rows + 1) / 2);
      const bytes = 2 * size + 4 * T * (2 * heads + 2 * kvHeads) * D;
      return {
        build,
        step: { ...steps(segmentsOf(sequences, start, rows)), pages },
        times: caches.length,
        bytes,
        flops: 4 * pairs * heads * D,
      };
    },
  };
}

/** Rows of a decoded token, of 32 sequences together, and of a prefill chunk. */
const ROWS = [1, 32, 256] as const;

export const FULL_SIZE_CASES: readonly KernelCase[] = [
  ...ROWS.flatMap((T) => [
    project("linear layer", T, [3 * heads * D, heads * D]),
    project("softmax layer", T, [(heads + 2 * kvHeads) * D]),
    projectAdd("attention", T, heads * D),
    gateUp("dense", T, MINI.intermediate),
    projectAdd("dense", T, MINI.intermediate),
    route(T),
    experts("gateUp", T),
    experts("down", T),
    gateUp("shared", T, MINI.sharedIntermediate),
    projectAdd("shared", T, MINI.sharedIntermediate),
  ]),
  ...[1, 32].map(head),
  ...([[1, 1], [32, 1], [1, 256]] as const).map(([sequences, rows]) => linearAttention(sequences, rows)),
  ...(["f32", "f16"] as const).flatMap((type) =>
    ([[1, 63, 1], [1, 1023, 1], [1, 4095, 1], [1, 32_767, 1], [1, 131_071, 1], [32, 1023, 1], [1, 3840, 256], [
      1,
      30_720,
      2048,
    ]] as const)
      .map(([sequences, start, rows]) => softmaxAttention(type, sequences, start, rows))
  ),
];

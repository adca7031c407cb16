/** Cases of both kinds of attention: several steps over states and caches, pages out of order and in several blocks. */
import type { CacheBlock, Heads, LinearAttention, Ops, StepInput } from "../../src/backend/backend.ts";
import type { Tensor } from "../../src/backend/tensor.ts";
import { type CaseMaker, hiddenStep } from "./case_maker.ts";
import type { OpCase } from "./op_case.ts";

const rowsIn = (step: StepInput) => step.segments.reduce((sum, segment) => sum + segment.rows, 0);
const most = (counts: readonly number[]) => Math.max(...counts);

interface AttentionDims {
  readonly heads: number;
  readonly kvHeads: number;
  readonly D: number;
  readonly R: number;
  readonly silu?: boolean;
  readonly plain?: boolean;
}

function heads(
  make: CaseMaker,
  { heads, kvHeads, D, R, silu = false, plain = false }: AttentionDims,
  context: number,
): Heads {
  return {
    heads,
    kvHeads,
    headDim: D,
    silu,
    queryNorm: plain ? null : make.norm(D),
    keyNorm: plain ? null : make.norm(D),
    rope: plain ? null : make.rope(context, R / 2),
  };
}

/** Several steps over the slots of one state: a prompt in pieces, decode rows, sequences side by side. */
const INTERLEAVED = [
  [[1, 0, 37]],
  [[1, 37, 1]],
  [[0, 0, 5], [1, 38, 1], [2, 0, 33]],
  [[2, 33, 1], [0, 5, 1]],
  [[1, 39, 65]],
  [[0, 0, 1]],
] as const satisfies readonly (readonly (readonly [number, number, number])[])[];

/** The same with few rows at once. */
const FEW = [
  [[1, 0, 17]],
  [[1, 17, 1]],
  [[0, 0, 5], [1, 18, 1], [2, 0, 9]],
  [[2, 9, 1], [0, 5, 1], [1, 19, 2]],
  [[0, 0, 1]],
] as const satisfies readonly (readonly (readonly [number, number, number])[])[];

/** The same with so few that products go row by row, too. */
const BATCH = [
  [[1, 0, 7]],
  [[1, 7, 1]],
  [[0, 0, 3], [1, 8, 1], [2, 0, 4]],
  [[2, 4, 1], [0, 3, 1], [1, 9, 2]],
  [[0, 0, 1]],
] as const satisfies readonly (readonly (readonly [number, number, number])[])[];

const CONTEXT = 128;

function linearAttentionCase(
  dims: AttentionDims,
  groups: number,
  decays: (h: number) => number,
  { few = false, batch = false }: { readonly few?: boolean; readonly batch?: boolean } = {},
): OpCase {
  const { heads: N, D } = dims;
  const width = 32;
  const steps = withPlaces(
    (batch ? BATCH : few ? FEW : INTERLEAVED).map((segments, i) => hiddenStep(width, segments, [], i + 1)),
    3,
  );
  const rows = most(steps.map(rowsIn));
  return {
    name:
      `linearAttention ${
        batch ? "of a batch, " : few ? "of few rows, " : ""
      }${N} heads of ${D}, ${groups} groups, ln decay ${decays(0).toFixed(3)}…${decays(N - 1).toFixed(3)}` +
      `${dims.silu ? ", silu" : ""}${dims.plain ? ", no norm, no rotation" : ""}`,
    steps,
    prepare(make) {
      const hidden = make.empty("hidden", [rows, width]);
      const [qkv, gate] = [make.empty("qkv", [rows, 3 * N * D]), make.empty("gate", [rows, N * D])];
      const [out, state] = [make.empty("out", [rows, N * D]), make.empty("state", [6, N, D, D])];
      const norm = make.norm(width);
      const maps = [make.linear("f32", [3 * N * D, width]), make.linear("f32", [N * D, width])];
      const how: LinearAttention = {
        ...heads(make, dims, CONTEXT),
        logDecay: Array.from({ length: N }, (_, h) => decays(h)),
        groupNorm: make.norm(N * D),
        groups,
      };
      const back = few || batch ? make.linear("bf16", [width, N * D]) : null;
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.project([qkv, gate], hidden, norm, maps);
        ops.linearAttention(out, qkv, gate, state, how);
        if (back) ops.projectAdd(hidden, out, back); // which may have finished `out` on its way
      };
      return { build, results: [back ? hidden : out, state] };
    },
  };
}

/** Steps whose states go to another place two times out of three: one of twice as many as there are slots. */
export function withPlaces(steps: readonly StepInput[], slots: number): StepInput[] {
  const held = Array.from({ length: slots }, (_, slot) => slot);
  const free = held.map((slot) => slots + slot);
  return steps.map((step, n) => {
    const places = step.segments.map(({ slot }) => {
      const from = held[slot]!;
      if ((n + slot) % 3 === 0) return { from, to: from };
      free.push(from);
      return { from, to: held[slot] = free.shift()! };
    });
    return { ...step, places };
  });
}

/** How a cache is kept: its type, positions of a page, pages of each block. */
interface CacheDims {
  readonly type?: "f32" | "f16";
  readonly page?: number;
  readonly blocks?: readonly number[];
}

/** A cache of zeros. */
export function cacheOf(
  make: CaseMaker,
  { type = "f32", page = 64, blocks = [6] }: CacheDims,
  [kvHeads, D]: readonly [number, number],
): CacheBlock[] {
  const width = type === "f16" ? Math.ceil(D / 8) * 8 : D;
  return blocks.map((pages) => ({
    keys: make.empty("keys", [pages, kvHeads, page, width], type),
    values: make.empty("values", [pages, kvHeads, page, width], type),
  }));
}

/** Steps with pages out of order: `perSlot` of them for every slot. */
export function withPages(
  steps: readonly StepInput[],
  { page = 64, blocks = [6] }: CacheDims,
  perSlot: number,
): StepInput[] {
  const all = blocks.reduce((sum, pages) => sum + pages, 0);
  const stride = [7, 5, 11, 13].find((candidate) => all % candidate !== 0)!; // coprime: every page is somebody's
  return steps.map((step) => ({
    ...step,
    pages: step.segments.map(({ slot, start, rows }) =>
      Array.from({ length: Math.ceil((start + rows) / page) }, (_, n) => ((slot * perSlot + n) * stride + 2) % all)
    ),
  }));
}

/**
 * Keys and values rounded to f16 are equal but for those that f32 takes to the other side of a midpoint: one unit in the last place. A row
 * that sees few positions has all of that in its result, and the largest result is larger than its binade's least.
 */
const F16_BOUNDS = { keys: 2 ** -10, values: 2 ** -10, out: 2 ** -11 };

interface SoftmaxDims extends CacheDims {
  /** [slot, start, rows] of every step; INTERLEAVED by default. */
  readonly steps?: readonly (readonly (readonly [number, number, number])[])[];
  /** Positions of each slot. */
  readonly context?: number;
  /** What is added to all channels of v. */
  readonly bias?: number;
  /** What q is multiplied by: scores whose exp overflows. */
  readonly loud?: number;
}

function softmaxAttentionCase(dims: AttentionDims, cache: SoftmaxDims = {}): OpCase {
  const { heads: N, kvHeads: G, D } = dims;
  const {
    type = "f32",
    page = 64,
    blocks = [6],
    steps: segments = INTERLEAVED,
    context = CONTEXT,
    bias = 0,
    loud = 0,
  } = cache;
  const [width, wide] = [32, (N + 2 * G) * D];
  const bare = segments.map((each, i) => hiddenStep(width, each, [], i + 1));
  const steps = withPages(bare, { page, blocks }, Math.ceil(context / page));
  const rows = most(steps.map(rowsIn));
  return {
    name: `softmaxAttention ${N} heads of ${D} over ${G}${dims.silu ? ", silu" : ""}${
      dims.plain ? ", no norm, no rotation" : ""
    }, ${type} in pages of ${page}, ${blocks.join(" + ")}, up to ${rows} rows at once${bias ? ", v too large" : ""}${
      loud ? ", loud" : ""
    }`,
    steps,
    ...(type === "f16" && { bounds: F16_BOUNDS }),
    ...(loud > 0 && { bounds: { out: 2 * loud * 1e-6 } }), // what f32 rounds of a score becomes a share of its weight
    prepare(make) {
      const hidden = make.empty("hidden", [rows, width]);
      const [qkv, out] = [make.empty("qkv", [rows, wide]), make.empty("out", [rows, N * D])];
      const held = cacheOf(make, cache, [G, D]);
      const [norm, map, how] = [make.norm(width), make.linear("f32", [wide, width]), heads(make, dims, context)];
      const added = bias
        ? make.given("bias", [wide], Array.from({ length: wide }, (_, i) => i < (N + G) * D ? 0 : bias))
        : null;
      const queryNorm = loud ? { weight: make.vector("norm", [D], 1, loud), eps: 1e-6 } : how.queryNorm;
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.project([qkv], hidden, norm, [{ ...map, bias: added }]);
        ops.softmaxAttention(out, qkv, held, { ...how, queryNorm });
      };
      return { build, results: [out, ...held.flatMap(({ keys, values }): Tensor[] => [keys, values])] };
    },
  };
}

/** Rows of one slot, so many at once, behind more and more positions; those that no row has written are zeros. */
const longSlot = (rows: number, starts: readonly number[]) => starts.map((start) => [[1, start, rows]] as const);

/** A row at the end of a context of 524,288 positions, all of which hold keys and values. */
const FAR_OUT: OpCase = {
  name: "softmaxAttention at position 524287",
  steps: withPages([hiddenStep(32, [[0, 2 ** 19 - 1, 1]])], { page: 1024, blocks: [64, 448] }, 512),
  prepare(make) {
    const [hidden, qkv, out] = [make.empty("hidden", [1, 32]), make.empty("qkv", [1, 16]), make.empty("out", [1, 8])];
    const [norm, map] = [make.norm(32), make.linear("f32", [16, 32])];
    const cache = [64, 448].map((pages): CacheBlock => ({
      keys: make.vector("keys", [pages, 1, 1024, 4]),
      values: make.vector("values", [pages, 1, 1024, 4], 1, 1),
    }));
    const how = { heads: 2, kvHeads: 1, headDim: 4, silu: false, queryNorm: null, keyNorm: null, rope: null };
    const build = (ops: Ops) => {
      ops.receive(hidden);
      ops.project([qkv], hidden, norm, [map]);
      ops.softmaxAttention(out, qkv, cache, how);
    };
    return { build, results: [out] };
  },
};

const alibi = (N: number, factor: number) => (h: number) => -factor * 2 ** (-8 * (h + 1) / N);

export const ATTENTION_CASES: readonly OpCase[] = [
  linearAttentionCase({ heads: 4, kvHeads: 4, D: 64, R: 32 }, 2, alibi(4, 0.8)),
  linearAttentionCase({ heads: 6, kvHeads: 6, D: 8, R: 4 }, 3, alibi(6, 1.0526)),
  linearAttentionCase({ heads: 2, kvHeads: 2, D: 128, R: 64 }, 1, alibi(16, 0.0526)),
  linearAttentionCase({ heads: 16, kvHeads: 16, D: 8, R: 8 }, 8, alibi(16, 0.00001)),
  linearAttentionCase({ heads: 3, kvHeads: 3, D: 24, R: 12, silu: true }, 3, alibi(3, 0.5)),
  linearAttentionCase({ heads: 2, kvHeads: 2, D: 16, R: 8, plain: true }, 2, () => -20),
  linearAttentionCase({ heads: 4, kvHeads: 4, D: 64, R: 32 }, 2, alibi(4, 0.8), { few: true }),
  linearAttentionCase({ heads: 6, kvHeads: 6, D: 8, R: 4 }, 3, alibi(6, 1.0526), { few: true }),
  linearAttentionCase({ heads: 2, kvHeads: 2, D: 128, R: 64 }, 1, alibi(16, 0.0526), { few: true }),
  linearAttentionCase({ heads: 3, kvHeads: 3, D: 24, R: 12, silu: true }, 3, alibi(3, 0.5), { few: true }),
  linearAttentionCase({ heads: 2, kvHeads: 2, D: 4, R: 2, plain: true }, 2, () => -20, { few: true }),
  linearAttentionCase({ heads: 4, kvHeads: 4, D: 64, R: 32 }, 2, alibi(4, 0.8), { batch: true }),
  linearAttentionCase({ heads: 6, kvHeads: 6, D: 8, R: 4 }, 3, alibi(6, 1.0526), { batch: true }),
  linearAttentionCase({ heads: 6, kvHeads: 6, D: 64, R: 32 }, 4, alibi(6, 0.8), { batch: true }),
  linearAttentionCase({ heads: 3, kvHeads: 3, D: 64, R: 16, silu: true }, 3, alibi(3, 0.5), { few: true }),
  linearAttentionCase({ heads: 2, kvHeads: 2, D: 64, R: 32, plain: true }, 1, () => -20, { few: true }),
  softmaxAttentionCase({ heads: 4, kvHeads: 2, D: 64, R: 32 }),
  softmaxAttentionCase({ heads: 6, kvHeads: 3, D: 32, R: 16 }, { blocks: [1, 3, 2] }),
  softmaxAttentionCase({ heads: 16, kvHeads: 4, D: 8, R: 4 }),
  softmaxAttentionCase({ heads: 4, kvHeads: 1, D: 128, R: 64, silu: true }),
  softmaxAttentionCase({ heads: 3, kvHeads: 3, D: 24, R: 12, plain: true }, { blocks: [2, 4] }),
  softmaxAttentionCase({ heads: 4, kvHeads: 2, D: 64, R: 32 }, { type: "f16" }),
  softmaxAttentionCase({ heads: 6, kvHeads: 2, D: 12, R: 4 }, { type: "f16", blocks: [1, 1, 4] }),
  softmaxAttentionCase({ heads: 6, kvHeads: 3, D: 32, R: 16 }, { steps: FEW, blocks: [3, 3] }),
  softmaxAttentionCase({ heads: 8, kvHeads: 1, D: 128, R: 64, silu: true }, { steps: FEW, type: "f16" }),
  softmaxAttentionCase({ heads: 2, kvHeads: 2, D: 4, R: 2 }, { steps: FEW, type: "f16" }),
  softmaxAttentionCase({ heads: 4, kvHeads: 2, D: 16, R: 8 }, { steps: FEW, loud: 60 }),
  softmaxAttentionCase({ heads: 4, kvHeads: 2, D: 64, R: 32 }, { steps: FEW, loud: 60 }),
  softmaxAttentionCase({ heads: 4, kvHeads: 2, D: 16, R: 8 }, { loud: 300 }),
  softmaxAttentionCase({ heads: 6, kvHeads: 2, D: 64, R: 32 }, {
    ...{ steps: longSlot(3, [0, 190, 700, 1021]), context: 1024, page: 256, blocks: [3, 5] },
  }),
  softmaxAttentionCase({ heads: 5, kvHeads: 1, D: 16, R: 16 }, { steps: FEW, type: "f16", bias: 70_000 }),
  softmaxAttentionCase({ heads: 2, kvHeads: 2, D: 8, R: 2 }, {
    ...{ steps: longSlot(16, [0, 16, 150, 304]), context: 320, blocks: [3, 1, 6] },
  }),
  softmaxAttentionCase({ heads: 4, kvHeads: 2, D: 16, R: 8 }, {
    ...{ steps: longSlot(3, [0, 190, 700, 1021]), context: 1024, page: 256, blocks: [8], type: "f16" },
  }),
  softmaxAttentionCase({ heads: 2, kvHeads: 2, D: 8, R: 2 }, {
    ...{ steps: longSlot(70, [0, 40, 250]), context: 320, blocks: [3, 1, 6] },
  }),
  softmaxAttentionCase({ heads: 4, kvHeads: 2, D: 16, R: 8 }, {
    ...{ steps: longSlot(70, [0, 40, 250]), context: 320, blocks: [3, 1, 6] },
  }),
  softmaxAttentionCase({ heads: 4, kvHeads: 2, D: 16, R: 8 }, {
    ...{ steps: longSlot(70, [0, 250, 440]), context: 512, page: 128, blocks: [2, 6], type: "f16" },
  }),
  // So many heads that a GPU takes its largest tiles.
  softmaxAttentionCase({ heads: 128, kvHeads: 32, D: 4, R: 2 }, {
    ...{ steps: longSlot(128, [0, 100]), context: 256, blocks: [2, 6] },
  }),
  softmaxAttentionCase({ heads: 8, kvHeads: 2, D: 128, R: 64, silu: true }, {
    ...{ steps: longSlot(1, [0, 1, 40, 150, 255]), context: 256, blocks: [1, 3] },
  }),
  softmaxAttentionCase({ heads: 5, kvHeads: 1, D: 12, R: 4 }, {
    ...{ steps: longSlot(1, [0, 1, 63, 64, 319]), context: 320, blocks: [2, 4], type: "f16" },
  }),
  softmaxAttentionCase({ heads: 4, kvHeads: 2, D: 64, R: 32 }, {
    ...{ steps: longSlot(1, [0, 1, 40, 190, 255]), context: 256, blocks: [4], type: "f16" },
  }),
  // More blocks than are bound at once.
  softmaxAttentionCase({ heads: 2, kvHeads: 2, D: 8, R: 2 }, {
    ...{ steps: longSlot(5, [0, 60, 150, 315, 635]), context: 640, blocks: [...Array(8).fill(1), 2, 10] },
  }),
  FAR_OUT,
];

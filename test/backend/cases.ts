/** The one table of kernel cases: every backend runs it against the float64 loops, benchmarks time it. */
import { strict as assert } from "node:assert";
import type { Backend, Heads, LinearAttention, Ops, Read, Router, StepInput } from "../../src/backend/backend.ts";
import { elements, type Tensor, type WeightType } from "../../src/backend/tensor.ts";
import { CaseMaker, hiddenStep } from "./case_maker.ts";
import { EDGE_CASES } from "./edge_cases.ts";
import { ReferenceBackend } from "./reference_backend.ts";

/** Operations on seeded tensors, and the steps to run them for. */
export interface OpCase {
  readonly name: string;
  readonly steps: readonly StepInput[];
  /** Makes the tensors; returns what to record and which tensors to compare after each step. */
  readonly prepare: (make: CaseMaker) => { readonly build: (ops: Ops) => void; readonly results: readonly Tensor[] };
}

/** Largest |difference| allowed, in units of the largest |reference|: rounding of f32 sums, nothing more. */
const TOLERANCE = 3e-6;

const TYPES: readonly WeightType[] = ["f32", "bf16", "f16", "f8_e4m3"];
const rowsIn = (step: StepInput) => step.segments.reduce((sum, segment) => sum + segment.rows, 0);
const most = (counts: readonly number[]) => Math.max(...counts);

function embedCase(type: WeightType, [T, V, H]: readonly [number, number, number]): OpCase {
  const tokens = Uint32Array.from({ length: T }, (_, t) => (t * 7919 + 11) % V);
  return {
    name: `embed ${type} [${T}, ${V}, ${H}]`,
    steps: [{ segments: [{ slot: 0, start: 0, rows: T }], outputs: new Uint32Array(), rows: tokens }],
    prepare(make) {
      const [hidden, table] = [make.empty("hidden", [T, H]), make.weight(type, [V, H])];
      return { build: (ops) => ops.embed(hidden, table), results: [hidden] };
    },
  };
}

function projectCase(type: WeightType, [T, H, ...N]: readonly [number, number, ...number[]], bias = false): OpCase {
  return {
    name: `project ${type} [${T}, ${H}] to [${N}]${bias ? " with bias" : ""}`,
    steps: [hiddenStep(H, [[0, 0, T]])],
    prepare(make) {
      const [hidden, norm] = [make.empty("hidden", [T, H]), make.norm(H)];
      const maps = N.map((n) => make.linear(type, [n, H], bias));
      const outs = N.map((n) => make.empty("out", [T, n]));
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.project(outs, hidden, norm, maps);
      };
      return { build, results: outs };
    },
  };
}

function projectAddCase(type: WeightType, [T, N, H]: readonly [number, number, number], bias = false): OpCase {
  return {
    name: `projectAdd ${type} [${T}, ${N}] to ${H}${bias ? " with bias" : ""}`,
    steps: [hiddenStep(H, [[0, 0, T]])],
    prepare(make) {
      const [hidden, x, map] = [
        make.empty("hidden", [T, H]),
        make.vector("x", [T, N]),
        make.linear(type, [H, N], bias),
      ];
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.projectAdd(hidden, x, map);
      };
      return { build, results: [hidden] };
    },
  };
}

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
  const steps = (batch ? BATCH : few ? FEW : INTERLEAVED).map((segments, i) => hiddenStep(width, segments, [], i + 1));
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
      const [out, state] = [make.empty("out", [rows, N * D]), make.empty("state", [3, N, D, D])];
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

function softmaxAttentionCase(dims: AttentionDims): OpCase {
  const { heads: N, kvHeads: G, D } = dims;
  const [width, wide] = [32, (N + 2 * G) * D];
  const steps = INTERLEAVED.map((segments, i) => hiddenStep(width, segments, [], i + 1));
  const rows = most(steps.map(rowsIn));
  return {
    name: `softmaxAttention ${N} heads of ${D} over ${G}${dims.silu ? ", silu" : ""}${
      dims.plain ? ", no norm, no rotation" : ""
    }`,
    steps,
    prepare(make) {
      const hidden = make.empty("hidden", [rows, width]);
      const [qkv, out] = [make.empty("qkv", [rows, wide]), make.empty("out", [rows, N * D])];
      const [keys, values] = [make.empty("keys", [3, CONTEXT, G, D]), make.empty("values", [3, CONTEXT, G, D])];
      const [norm, maps, how] = [make.norm(width), [make.linear("f32", [wide, width])], heads(make, dims, CONTEXT)];
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.project([qkv], hidden, norm, maps);
        ops.softmaxAttention(out, qkv, keys, values, how);
      };
      return { build, results: [out, keys, values] };
    },
  };
}

function gateUpCase(type: WeightType, [T, H, I]: readonly [number, number, number]): OpCase {
  return {
    name: `gateUp ${type} [${T}, ${H}] to ${I}`,
    steps: [hiddenStep(H, [[0, 0, T]])],
    prepare(make) {
      const [hidden, norm, out] = [make.empty("hidden", [T, H]), make.norm(H), make.empty("out", [T, I])];
      const [gate, up] = [make.weight(type, [I, H]), make.weight(type, [I, H])];
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.gateUp(out, hidden, norm, gate, up);
      };
      return { build, results: [out] };
    },
  };
}

interface RouterDims extends Partial<Omit<Router, "bias">> {
  readonly T: number;
  readonly H: number;
  readonly E: number;
  /** Pairs of equal experts: ties. */
  readonly ties?: boolean;
  /** Added to the scores; null for none. */
  readonly bias?: ((e: number) => number) | null;
  readonly title?: string;
}

function routeCase(dims: RouterDims): OpCase {
  const { T, H, E, ties = false, bias = null, title = "" } = dims;
  const how = {
    score: "sigmoid",
    groups: 1,
    groupsKept: 1,
    perToken: 4,
    normalize: true,
    scale: 2.5,
    ...dims,
  } as const;
  return {
    name:
      `route ${T} rows to ${how.perToken} of ${E}, ${how.groupsKept} of ${how.groups} groups, ${how.score} ${title}`,
    steps: [hiddenStep(H, [[0, 0, T]])],
    prepare(make) {
      const [hidden, norm, map] = [
        make.empty("hidden", [T, H]),
        make.norm(H),
        make.weight("f32", [E, H], [1, 1], ties),
      ];
      const ids = make.empty("ids", [T, how.perToken], "u32");
      const weights = make.empty("weights", [T, how.perToken]);
      const values = bias && make.given("bias", [E], Array.from({ length: E }, (_, e) => bias(e)));
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.route({ ids, weights }, hidden, norm, map, { ...how, bias: values });
      };
      return { build, results: [ids, weights] };
    },
  };
}

interface ExpertDims {
  readonly T: number;
  readonly H: number;
  readonly I: number;
  readonly E: number;
  readonly K: number;
  /** Every row chooses the last K: the others have none. */
  readonly crowded?: boolean;
  /** Width and type of an expert beside the chosen ones. */
  readonly shared?: readonly [width: number, type: WeightType];
}

function expertsCase(type: WeightType, { T, H, I, E, K, crowded = false, shared }: ExpertDims): OpCase {
  return {
    name: `experts ${type} ${T} rows, ${K} of ${E}, ${H} to ${I} and back` +
      (crowded ? ", all rows to the last" : "") + (shared ? `, beside one of ${shared.join(" ")}` : ""),
    steps: [hiddenStep(H, [[0, 0, T]])],
    prepare(make) {
      const [hidden, norm, out] = [make.empty("hidden", [T, H]), make.norm(H), make.empty("out", [T, K, I])];
      const routing = { ids: make.empty("ids", [T, K], "u32"), weights: make.empty("weights", [T, K]) };
      const map = make.weight("f32", [E, H]);
      const crowd = Array.from({ length: E }, (_, e) => e < E - K ? 0 : 9);
      const block = [16, 32] as const;
      const [gate, up] = [make.weight(type, [E, I, H], block), make.weight(type, [E, I, H], block)];
      const down = make.weight(type, [E, H, I], block);
      const beside = shared ? sharedExpert(make, T, H, shared) : null;
      const how = {
        score: "sigmoid",
        groups: 1,
        groupsKept: 1,
        perToken: K,
        normalize: true,
        scale: 2.5,
        bias: crowded ? make.given("bias", [E], crowd) : null,
      } as const;
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.route(routing, hidden, norm, map, how);
        ops.expertsGateUp(out, hidden, norm, routing, gate, up, beside);
        ops.expertsDownAdd(hidden, out, routing, down, beside);
      };
      return { build, results: [out, hidden] };
    },
  };
}

function sharedExpert(make: CaseMaker, T: number, H: number, [I, type]: readonly [number, WeightType]) {
  const out = make.empty("shared", [T, I]);
  const [gate, up] = [make.weight(type, [I, H], [16, 32]), make.weight(type, [I, H], [16, 32])];
  return { out, x: out, gate, up, down: make.weight(type, [H, I], [16, 32]) };
}

function headCase(
  type: WeightType,
  [T, H, V, K]: readonly [number, number, number, number],
  outputs: readonly number[],
  ties = false,
): OpCase {
  return {
    name: `head and candidates ${type} rows ${outputs} of ${T}, ${K} of ${V}${ties ? ", pairs of equal logits" : ""}`,
    steps: [hiddenStep(H, [[0, 0, T]], outputs)],
    prepare(make) {
      const R = Math.max(1, outputs.length);
      const [hidden, norm, logits] = [make.empty("hidden", [T, H]), make.norm(H), make.empty("logits", [R, V])];
      const map = make.weight(type, [V, H], [128, 128], ties);
      const found = {
        ids: make.empty("ids", [R, K], "u32"),
        logits: make.empty("candidates", [R, K]),
        logSumExp: make.empty("logSumExp", [R]),
      };
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.head(logits, hidden, norm, map);
        ops.candidates(found, logits);
      };
      return { build, results: [logits, found.ids, found.logits, found.logSumExp] };
    },
  };
}

const alibi = (N: number, factor: number) => (h: number) => -factor * 2 ** (-8 * (h + 1) / N);

export const CASES: readonly OpCase[] = [
  ...TYPES.flatMap((type) => [
    embedCase(type, [5, 37, 20]),
    projectCase(type, [1, 64, 96]),
    projectCase(type, [1, 36, 13, 6]),
    projectCase(type, [7, 132, 37, 3]),
    projectCase(type, [13, 132, 36, 3]),
    projectCase(type, [33, 132, 37, 3]),
    projectAddCase(type, [1, 132, 64]),
    projectAddCase(type, [19, 36, 65]),
    gateUpCase(type, [1, 128, 64]),
    gateUpCase(type, [21, 36, 45]),
    expertsCase(type, { T: 1, H: 64, I: 32, E: 16, K: 4 }),
    expertsCase(type, { T: 5, H: 36, I: 20, E: 9, K: 3, shared: [28, type] }),
    expertsCase(type, { T: 41, H: 36, I: 20, E: 9, K: 3 }),
    headCase(type, [3, 64, 517, 16], [0, 2]),
  ]),
  ...(["q8", "q4"] as const).flatMap((type) => [
    embedCase(type, [3, 38, 96]),
    projectCase(type, [1, 64, 96]),
    projectCase(type, [7, 160, 38, 4]),
    projectCase(type, [33, 160, 38, 4]),
    projectAddCase(type, [1, 160, 64]),
    projectAddCase(type, [19, 96, 66], true),
    gateUpCase(type, [1, 128, 64]),
    gateUpCase(type, [21, 96, 46]),
    expertsCase(type, { T: 1, H: 64, I: 32, E: 16, K: 4 }),
    expertsCase(type, { T: 2, H: 64, I: 32, E: 16, K: 4, shared: [64, type] }),
    expertsCase(type, { T: 41, H: 96, I: 32, E: 9, K: 3 }),
    headCase(type, [3, 64, 517, 16], [0, 2]),
  ]),
  expertsCase("f16", { T: 3, H: 36, I: 20, E: 9, K: 3, shared: [8, "bf16"] }),
  expertsCase("f16", { T: 41, H: 36, I: 20, E: 9, K: 3, shared: [8, "bf16"] }),
  projectCase("bf16", [1, 2048, 40]),
  projectCase("bf16", [32, 2048, 72]),
  projectCase("f32", [11, 36, 20], true),
  projectAddCase("bf16", [17, 100, 132], true),
  headCase("bf16", [12, 64, 516, 16], [0, 2, 3, 4, 5, 6, 7, 8, 10, 11]),
  projectCase("bf16", [130, 16, 24]),
  projectCase("bf16", [131, 20, 8195], true),
  projectCase("f8_e4m3", [3, 260, 259]),
  projectCase("f32", [3, 32, 12], true),
  projectAddCase("bf16", [3, 32, 12], true),
  projectAddCase("f16", [77, 68, 131], true),
  gateUpCase("bf16", [67, 36, 70]),
  gateUpCase("f8_e4m3", [40, 132, 65]),
  expertsCase("bf16", { T: 90, H: 36, I: 68, E: 5, K: 2 }),
  expertsCase("bf16", { T: 17, H: 40, I: 24, E: 5, K: 3, shared: [28, "bf16"] }),
  expertsCase("q4", { T: 12, H: 64, I: 32, E: 3, K: 2, shared: [64, "q4"] }),
  expertsCase("f32", { T: 7, H: 36, I: 20, E: 6, K: 1, crowded: true, shared: [12, "f32"] }),
  expertsCase("f16", { T: 70, H: 36, I: 20, E: 260, K: 3 }),
  expertsCase("f32", { T: 75, H: 36, I: 20, E: 6, K: 1, crowded: true }),
  expertsCase("q8", { T: 33, H: 32, I: 32, E: 9, K: 4, crowded: true }),
  projectCase("bf16", [1, 272, 300, 70]),
  projectCase("bf16", [6, 64, 40, 24]),
  projectCase("f8_e4m3", [2, 288, 45, 70]),
  projectAddCase("bf16", [1, 272, 70], true),
  gateUpCase("q8", [5, 160, 70]),
  expertsCase("bf16", { T: 3, H: 160, I: 48, E: 9, K: 3, shared: [32, "bf16"] }),
  embedCase("bf16", [1, 8, 4]),
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
  linearAttentionCase({ heads: 3, kvHeads: 3, D: 64, R: 16, silu: true }, 3, alibi(3, 0.5), { few: true }),
  linearAttentionCase({ heads: 2, kvHeads: 2, D: 64, R: 32, plain: true }, 1, () => -20, { few: true }),
  softmaxAttentionCase({ heads: 4, kvHeads: 2, D: 64, R: 32 }),
  softmaxAttentionCase({ heads: 6, kvHeads: 3, D: 32, R: 16 }),
  softmaxAttentionCase({ heads: 16, kvHeads: 4, D: 8, R: 4 }),
  softmaxAttentionCase({ heads: 4, kvHeads: 1, D: 128, R: 64, silu: true }),
  softmaxAttentionCase({ heads: 3, kvHeads: 3, D: 24, R: 12, plain: true }),
  routeCase({ T: 1, H: 64, E: 16, groups: 4, groupsKept: 2 }),
  routeCase({ T: 70, H: 64, E: 256, groups: 8, groupsKept: 4, perToken: 8, bias: (e) => 0.1 * Math.sin(e) }),
  routeCase({ T: 9, H: 32, E: 16, bias: (e) => 0.3 * Math.cos(e) }),
  routeCase({
    T: 17,
    H: 32,
    E: 24,
    groups: 4,
    groupsKept: 2,
    perToken: 6,
    ties: true,
    title: "(ties between experts)",
  }),
  routeCase({
    T: 3,
    H: 32,
    E: 16,
    groups: 4,
    groupsKept: 2,
    bias: (e) => e < 12 ? -50 : -9,
    title: "(all scores negative)",
  }),
  routeCase({ T: 2, H: 272, E: 72, groups: 9, groupsKept: 4, perToken: 6, bias: (e) => 0.1 * Math.sin(e) }),
  routeCase({ T: 5, H: 32, E: 12, score: "softmax", perToken: 3, normalize: false, scale: 1 }),
  routeCase({ T: 2, H: 32, E: 7, perToken: 1, scale: 1 }),
  routeCase({ T: 2, H: 32, E: 8, groups: 8, groupsKept: 3, perToken: 2, title: "(groups of one)" }),
  headCase("f32", [4, 32, 5000, 64], [0, 1, 2, 3], true),
  headCase("bf16", [2, 16, 70001, 64], [1]),
  headCase("f32", [2, 16, 64, 64], [1]),
  headCase("f32", [2, 16, 100, 8], []),
  ...EDGE_CASES,
];

/** Rows, segments and outputs that hold all steps of a case. */
export function capacityOf(steps: readonly StepInput[]): { rows: number; segments: number; outputs: number } {
  return {
    rows: most(steps.map(rowsIn)),
    segments: most(steps.map((step) => step.segments.length)),
    outputs: most(steps.map((step) => step.outputs.length)),
  };
}

/** Results of every step of a case on one backend. */
export async function runCase(backend: Backend, { steps, prepare }: OpCase): Promise<ArrayBuffer[][]> {
  const make = new CaseMaker(backend, 20);
  const { build, results } = prepare(make);
  await make.written();
  const plan = backend.record(capacityOf(steps), build);
  const reads: Read[] = results.map((tensor) => ({ tensor, elements: elements(tensor.shape) }));
  const all: ArrayBuffer[][] = [];
  for (const step of steps) all.push(await backend.run(plan, step, reads));
  return all;
}

const expectations = new Map<OpCase, Promise<ArrayBuffer[][]>>();

/** The reference's results, computed once for all backends. */
function expectation(opCase: OpCase): Promise<ArrayBuffer[][]> {
  const known = expectations.get(opCase) ?? runCase(new ReferenceBackend(), opCase);
  expectations.set(opCase, known);
  return known;
}

/** Throws AssertionError unless a backend's results are the reference's: indices equal, values within rounding. */
export async function checkCase(backend: Backend, opCase: OpCase): Promise<void> {
  const expected = await expectation(opCase);
  const { results: tensors } = opCase.prepare(new CaseMaker(new ReferenceBackend(), 20));
  const actual = await runCase(backend, opCase);
  expected.forEach((results, step) =>
    results.forEach((buffer, i) => {
      const { label, dtype } = tensors[i]!;
      const where = `${opCase.name}: ${label} after step ${step}`;
      if (dtype === "u32") assert.deepEqual(new Uint32Array(actual[step]![i]!), new Uint32Array(buffer), where);
      else compare(new Float32Array(actual[step]![i]!), new Float32Array(buffer), where);
    })
  );
}

/** Throws AssertionError unless all values are within TOLERANCE of the largest |expected|. */
function compare(actual: Float32Array, expected: Float32Array, where: string): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let [worst, at] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= worst)) [worst, at] = [difference, i];
    if (Number.isNaN(difference)) break;
  }
  const message = `${where}: [${at}] is ${actual[at]}, expected ${expected[at]} (off by ${
    worst / largest
  } of the largest)`;
  assert.ok(worst <= TOLERANCE * largest, message);
}

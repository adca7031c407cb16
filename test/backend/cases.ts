/** The one table of kernel cases: every backend runs it against the float64 loops, benchmarks time it. */
import { strict as assert } from "node:assert";
import type { Backend, Capacity, Ops, Read, Router, StepInput } from "../../src/backend/backend.ts";
import { elements, type Tensor, type WeightType } from "../../src/backend/tensor.ts";
import { ATTENTION_CASES } from "./attention_cases.ts";
import { CaseMaker, hiddenStep } from "./case_maker.ts";
import { DRAW_CASES } from "./draw_cases.ts";
import { EDGE_CASES } from "./edge_cases.ts";
import { ReferenceBackend } from "./reference_backend.ts";
import { decode } from "./reference_tensor.ts";
import { ROW_CASES } from "./row_cases.ts";

/** Operations on seeded tensors, and the steps to run them for. */
export interface OpCase {
  readonly name: string;
  readonly steps: readonly StepInput[];
  /** Bounds of its own for results of some label, where they are not only rounded to f32; in the units of TOLERANCE. */
  readonly bounds?: Readonly<Record<string, number>>;
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
  /** Groups of experts, half of which are kept; then the router has a bias. */
  readonly groups?: number;
  /** Whether it ends on the way, and what the experts make of the rows is compared. */
  readonly halfway?: boolean;
}

function expertsCase(
  type: WeightType,
  { T, H, I, E, K, crowded = false, shared, groups = 1, halfway = false }: ExpertDims,
): OpCase {
  return {
    name: `experts ${type} ${T} rows, ${K} of ${E}, ${H} to ${I}${halfway ? "" : " and back"}` +
      (crowded ? ", all rows to the last" : "") + (shared ? `, beside one of ${shared.join(" ")}` : "") +
      (groups > 1 ? `, ${groups} groups` : ""),
    steps: [hiddenStep(H, [[0, 0, T]])],
    prepare(make) {
      const [hidden, norm, out] = [make.empty("hidden", [T, H]), make.norm(H), make.empty("out", [T, K, I])];
      const routing = { ids: make.empty("ids", [T, K], "u32"), weights: make.empty("weights", [T, K]) };
      const map = make.weight("f32", [E, H]);
      const crowd = Array.from({ length: E }, (_, e) => e < E - K ? 0 : 9);
      const waves = Array.from({ length: E }, (_, e) => 0.3 * Math.sin(e));
      const block = [16, 32] as const;
      const [gate, up] = [make.weight(type, [E, I, H], block), make.weight(type, [E, I, H], block)];
      const down = make.weight(type, [E, H, I], block);
      const beside = shared ? sharedExpert(make, T, H, shared) : null;
      const how = {
        score: "sigmoid",
        groups,
        groupsKept: Math.ceil(groups / 2),
        perToken: K,
        normalize: true,
        scale: 2.5,
        bias: crowded || groups > 1 ? make.given("bias", [E], crowded ? crowd : waves) : null,
      } as const;
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.route(routing, hidden, norm, map, how);
        ops.expertsGateUp(out, hidden, norm, routing, gate, up, beside);
        if (!halfway) ops.expertsDownAdd(hidden, out, routing, down, beside);
      };
      return { build, results: [halfway ? out : hidden] };
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
  expertsCase("bf16", { T: 1, H: 36, I: 20, E: 9, K: 3, shared: [28, "bf16"] }),
  expertsCase("bf16", { T: 1, H: 64, I: 24, E: 32, K: 8, shared: [28, "bf16"], groups: 4 }),
  expertsCase("f16", { T: 3, H: 36, I: 20, E: 9, K: 3, shared: [8, "bf16"] }),
  expertsCase("f16", { T: 41, H: 36, I: 20, E: 9, K: 3, shared: [8, "bf16"] }),
  projectCase("bf16", [1, 2048, 40]),
  projectCase("bf16", [32, 2048, 72]),
  projectCase("f32", [11, 36, 20], true),
  projectCase("bf16", [21, 36, 8195, 45]),
  projectCase("f16", [30, 20, 16390], true),
  projectCase("q8", [10, 160, 38, 4]),
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
  expertsCase("bf16", { T: 1, H: 36, I: 20, E: 9, K: 3, halfway: true }),
  expertsCase("f16", { T: 5, H: 64, I: 32, E: 9, K: 3, shared: [32, "f16"], halfway: true }),
  expertsCase("bf16", { T: 41, H: 36, I: 20, E: 9, K: 3, halfway: true }),
  expertsCase("bf16", { T: 90, H: 196, I: 68, E: 5, K: 2 }),
  expertsCase("bf16", { T: 17, H: 40, I: 24, E: 5, K: 3, shared: [28, "bf16"] }),
  expertsCase("f32", { T: 19, H: 48, I: 20, E: 21, K: 3, shared: [28, "f32"], groups: 3 }),
  expertsCase("q4", { T: 12, H: 64, I: 32, E: 3, K: 2, shared: [64, "q4"] }),
  expertsCase("q4", { T: 1, H: 96, I: 64, E: 5, K: 3, shared: [32, "q8"] }),
  expertsCase("q4", { T: 3, H: 64, I: 32, E: 5, K: 2, shared: [64, "q8"] }),
  expertsCase("f32", { T: 7, H: 36, I: 20, E: 6, K: 1, crowded: true, shared: [12, "f32"] }),
  expertsCase("f16", { T: 70, H: 36, I: 20, E: 260, K: 3 }),
  expertsCase("f32", { T: 75, H: 36, I: 20, E: 6, K: 1, crowded: true }),
  expertsCase("q8", { T: 33, H: 32, I: 32, E: 9, K: 4, crowded: true }),
  projectCase("bf16", [1, 272, 300, 70]),
  projectCase("bf16", [6, 64, 40, 24]),
  projectCase("f8_e4m3", [2, 288, 45, 70]),
  projectAddCase("bf16", [1, 272, 70], true),
  gateUpCase("q8", [5, 160, 70]),
  expertsCase("bf16", { T: 3, H: 176, I: 48, E: 9, K: 3, shared: [32, "bf16"] }),
  embedCase("bf16", [1, 8, 4]),
  ...ATTENTION_CASES,
  ...ROW_CASES,
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
  routeCase({ T: 2, H: 32, E: 8, groups: 8, groupsKept: 3, perToken: 3, ties: true, title: "(groups of one, ties)" }),
  headCase("f32", [4, 32, 5000, 64], [0, 1, 2, 3], true),
  headCase("bf16", [2, 16, 70001, 64], [1]),
  headCase("f32", [2, 16, 64, 64], [1]),
  headCase("f32", [2, 16, 100, 8], []),
  ...DRAW_CASES,
  ...EDGE_CASES,
];

/** What holds all steps of a case. */
export function capacityOf(steps: readonly StepInput[]): Capacity {
  const pages = most(steps.flatMap(({ pages = [] }) => [0, ...pages.map((own) => own.length)]));
  return {
    rows: most(steps.map(rowsIn)),
    segments: most(steps.map((step) => step.segments.length)),
    outputs: most(steps.map((step) => step.outputs.length)),
    draws: most(steps.map(({ draws = [] }) => draws.flat().length)),
    ...(pages > 0 && { pages, rounds: pages }),
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
      else {
        const values = Float32Array.from(decode(dtype, new Uint8Array(actual[step]![i]!)));
        compare(values, new Float32Array(buffer), opCase.bounds?.[label] ?? TOLERANCE, where);
      }
    })
  );
}

/** Throws AssertionError unless all values are within `bound` of the largest |expected|. */
function compare(actual: Float32Array, expected: Float32Array, bound: number, where: string): void {
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
  assert.ok(worst <= bound * largest, message);
}

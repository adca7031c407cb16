/** Cases of routing and of the experts that it chooses, with one beside them or without. */
import type { Ops, Router } from "../../src/backend/backend.ts";
import type { WeightType } from "../../src/backend/tensor.ts";
import { type CaseMaker, hiddenStep } from "./case_maker.ts";
import { type OpCase, TYPES } from "./op_case.ts";

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

export const EXPERT_CASES: readonly OpCase[] = [
  ...TYPES.flatMap((type) => [
    expertsCase(type, { T: 1, H: 64, I: 32, E: 16, K: 4 }),
    expertsCase(type, { T: 5, H: 36, I: 20, E: 9, K: 3, shared: [28, type] }),
    expertsCase(type, { T: 41, H: 36, I: 20, E: 9, K: 3 }),
  ]),
  ...(["q8", "q4"] as const).flatMap((type) => [
    expertsCase(type, { T: 1, H: 64, I: 32, E: 16, K: 4 }),
    expertsCase(type, { T: 2, H: 64, I: 32, E: 16, K: 4, shared: [64, type] }),
    expertsCase(type, { T: 41, H: 96, I: 32, E: 9, K: 3 }),
  ]),
  expertsCase("bf16", { T: 1, H: 36, I: 20, E: 9, K: 3, shared: [28, "bf16"] }),
  expertsCase("bf16", { T: 1, H: 64, I: 24, E: 32, K: 8, shared: [28, "bf16"], groups: 4 }),
  expertsCase("f16", { T: 3, H: 36, I: 20, E: 9, K: 3, shared: [8, "bf16"] }),
  expertsCase("f16", { T: 41, H: 36, I: 20, E: 9, K: 3, shared: [8, "bf16"] }),
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
  expertsCase("bf16", { T: 3, H: 176, I: 48, E: 9, K: 3, shared: [32, "bf16"] }),
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
];

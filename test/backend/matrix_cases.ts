/** Cases of products on matrix units, of which the reference can say exactly what is rounded to f16: nothing that is lies halfway. */
import type { Norm, Ops, StepInput } from "../../src/backend/backend.ts";
import type { WeightType } from "../../src/backend/tensor.ts";
import { type CaseMaker, hiddenStep, random } from "./case_maker.ts";
import type { OpCase } from "./op_case.ts";

/** Rows of 1 and -1, so that a norm makes of them its weights, nearly. */
function signs(width: number, rows: number): StepInput {
  const next = random(5);
  const step = hiddenStep(width, [[0, 0, rows]]);
  return { ...step, rows: Float32Array.from({ length: rows * width }, () => next() < 0 ? -1 : 1) };
}

/** Weights that f16 has. */
function norm(make: CaseMaker, size: number): Norm {
  return {
    weight: make.given("norm", [size], Array.from({ length: size }, (_, i) => 0.5 + i * 7 % 16 / 16)),
    eps: 1e-6,
  };
}

function project(type: WeightType, [T, H, ...N]: readonly [number, number, ...number[]], bias = false): OpCase {
  return {
    name: `matrix project ${type} [${T}, ${H}] to [${N}]${bias ? " with bias" : ""}`,
    steps: [signs(H, T)],
    prepare(make) {
      const [hidden, weights] = [make.empty("hidden", [T, H]), norm(make, H)];
      const maps = N.map((n) => make.linear(type, [n, H], bias));
      const outs = N.map((n) => make.empty("out", [T, n]));
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.project(outs, hidden, weights, maps);
      };
      return { build, results: outs };
    },
  };
}

/** Rows far apart in size: each is scaled by itself. */
function projectAdd(type: WeightType, [T, N, H]: readonly [number, number, number]): OpCase {
  return {
    name: `matrix projectAdd ${type} [${T}, ${N}] to ${H}`,
    steps: [hiddenStep(H, [[0, 0, T]])],
    prepare(make) {
      const sizes = Array.from({ length: T * N }, (_, i) => Math.sin(i) * 10 ** (Math.floor(i / N) % 5 - 2));
      const [hidden, x, map] = [
        make.empty("hidden", [T, H]),
        make.given("x", [T, N], sizes),
        make.linear(type, [H, N], true),
      ];
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.projectAdd(hidden, x, map);
      };
      return { build, results: [hidden] };
    },
  };
}

function gateUp(type: WeightType, [T, H, I]: readonly [number, number, number]): OpCase {
  return {
    name: `matrix gateUp ${type} [${T}, ${H}] to ${I}`,
    steps: [signs(H, T)],
    prepare(make) {
      const [hidden, weights, out] = [make.empty("hidden", [T, H]), norm(make, H), make.empty("out", [T, I])];
      const [gate, up] = [make.weight(type, [I, H], [16, 32]), make.weight(type, [I, H], [16, 32])];
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.gateUp(out, hidden, weights, gate, up);
      };
      return { build, results: [out] };
    },
  };
}

/** Gate and up, and down of what is given in place of their result. */
function experts(
  type: WeightType,
  { T, H, I, E, K }: {
    readonly T: number;
    readonly H: number;
    readonly I: number;
    readonly E: number;
    readonly K: number;
  },
): OpCase {
  return {
    name: `matrix experts ${type} ${T} rows, ${K} of ${E}, ${H} to ${I} and back`,
    steps: [signs(H, T)],
    prepare(make) {
      const [hidden, weights, out] = [make.empty("hidden", [T, H]), norm(make, H), make.empty("out", [T, K, I])];
      const routing = { ids: make.empty("ids", [T, K], "u32"), weights: make.empty("weights", [T, K]) };
      const map = make.weight("f32", [E, H]);
      const [gate, up] = [make.weight(type, [E, I, H], [8, 32]), make.weight(type, [E, I, H], [8, 32])];
      const [x, down] = [make.vector("x", [T, K, I]), make.weight(type, [E, H, I], [8, 32])];
      const how = {
        ...{
          score: "sigmoid",
          groups: 1,
          groupsKept: 1,
          perToken: K,
          normalize: true,
          scale: 2.5,
          bias: null,
        } as const,
      };
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.route(routing, hidden, weights, map, how);
        ops.expertsGateUp(out, hidden, weights, routing, gate, up);
        ops.expertsDownAdd(hidden, x, routing, down);
      };
      return { build, results: [out, hidden] };
    },
  };
}

export const MATRIX_CASES: readonly OpCase[] = [
  project("bf16", [70, 136, 260, 12]),
  project("bf16", [130, 16, 8196]),
  project("bf16", [70, 16, 4100]),
  project("f16", [33, 64, 36], true),
  project("f32", [33, 64, 20]),
  project("f8_e4m3", [33, 136, 140]),
  project("q8", [33, 96, 40]),
  project("q4", [33, 96, 40]),
  projectAdd("bf16", [77, 72, 132]),
  gateUp("bf16", [67, 40, 76]),
  gateUp("f8_e4m3", [40, 136, 40]),
  experts("bf16", { T: 90, H: 72, I: 40, E: 5, K: 2 }),
  experts("q4", { T: 41, H: 96, I: 32, E: 9, K: 3 }),
];

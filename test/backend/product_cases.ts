/** Cases of embedding and matrix products: projections, gated ones, the head with its candidates. */
import type { Ops } from "../../src/backend/backend.ts";
import type { WeightType } from "../../src/backend/tensor.ts";
import { hiddenStep } from "./case_maker.ts";
import { type OpCase, TYPES } from "./op_case.ts";

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

export const PRODUCT_CASES: readonly OpCase[] = [
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
    headCase(type, [3, 64, 517, 16], [0, 2]),
  ]),
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
  projectCase("bf16", [1, 272, 300, 70]),
  projectCase("bf16", [6, 64, 40, 24]),
  projectCase("f8_e4m3", [2, 288, 45, 70]),
  projectAddCase("bf16", [1, 272, 70], true),
  gateUpCase("q8", [5, 160, 70]),
  embedCase("bf16", [1, 8, 4]),
  headCase("f32", [4, 32, 5000, 64], [0, 1, 2, 3], true),
  headCase("bf16", [2, 16, 70001, 64], [1]),
  headCase("f32", [2, 16, 64, 64], [1]),
  headCase("f32", [2, 16, 100, 8], []),
];

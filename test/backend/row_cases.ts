/** Cases of rows that go through the half of a layer, with weights of one type: where workgroups follow each other, one does all of it. */
import type { LinearAttention, Ops, Router } from "../../src/backend/backend.ts";
import type { WeightType } from "../../src/backend/tensor.ts";
import { withPlaces } from "./attention_cases.ts";
import { type CaseMaker, hiddenStep } from "./case_maker.ts";
import type { OpCase } from "./op_case.ts";

interface MlpDims extends Partial<Omit<Router, "bias">> {
  readonly T: number;
  readonly H: number;
  readonly I: number;
  readonly E: number;
  readonly K: number;
  /** Width of an expert beside the chosen ones; 0 for none. */
  readonly shared: number;
  readonly bias?: (e: number) => number;
  /** Whether the way back is another tensor's, so that operations do not go on from each other. */
  readonly apart?: boolean;
}

function mlpCase(type: WeightType, dims: MlpDims): OpCase {
  const { T, H, I, E, K, shared, bias = null, apart = false } = dims;
  return {
    name: `mlp ${type} ${T} rows, ${K} of ${E}, ${H} to ${I} and back, beside one of ${shared}${
      apart ? ", apart" : ""
    }`,
    steps: [hiddenStep(H, [[0, 0, T]])],
    prepare(make) {
      const [hidden, norm, out] = [make.empty("hidden", [T, H]), make.norm(H), make.empty("out", [T, K, I])];
      const routing = { ids: make.empty("ids", [T, K], "u32"), weights: make.empty("weights", [T, K]) };
      const [map, gate, up, down] = [[E, H], [E, I, H], [E, I, H], [E, H, I]].map((shape) => make.weight(type, shape));
      const beside = shared > 0 ? sharedExpert(make, type, [T, H, shared]) : null;
      const inner = apart ? make.vector("inner", [T, K, I]) : out;
      const how: Router = {
        ...{ score: "sigmoid", groups: 1, groupsKept: 1, perToken: K, normalize: true, scale: 2.5, ...dims },
        bias: bias && make.given("bias", [E], Array.from({ length: E }, (_, e) => bias(e))),
      };
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.route(routing, hidden, norm, map!, how);
        ops.expertsGateUp(out, hidden, norm, routing, gate!, up!, beside);
        ops.expertsDownAdd(hidden, inner, routing, down!, beside);
      };
      return { build, results: [hidden] };
    },
  };
}

function sharedExpert(make: CaseMaker, type: WeightType, [T, H, I]: readonly [number, number, number]) {
  const out = make.empty("shared", [T, I]);
  const [gate, up] = [make.weight(type, [I, H]), make.weight(type, [I, H])];
  return { out, x: out, gate, up, down: make.weight(type, [H, I]) };
}

interface LayerDims {
  readonly H: number;
  readonly heads: number;
  readonly D: number;
  readonly half: number;
  readonly groups: number;
  readonly silu?: boolean;
  readonly plain?: boolean;
  /** As above. */
  readonly apart?: boolean;
}

/** A row a step, of sequences in turn. */
const ONE_BY_ONE = [[1, 0], [1, 1], [0, 0], [1, 2], [0, 1], [1, 0]] as const;

function linearLayerCase(type: WeightType, dims: LayerDims): OpCase {
  const { H, heads, D, half, groups, silu = false, plain = false, apart = false } = dims;
  const width = heads * D;
  return {
    name: `linear layer ${type} of ${H}, ${heads} heads of ${D}, ${groups} groups${silu ? ", silu" : ""}${
      plain ? ", no norm, no rotation" : ""
    }${apart ? ", apart" : ""}`,
    steps: withPlaces(ONE_BY_ONE.map(([slot, start], i) => hiddenStep(H, [[slot, start, 1]], [], i + 1)), 2),
    prepare(make) {
      const [hidden, out, norm] = [make.empty("hidden", [1, H]), make.empty("out", [1, width]), make.norm(H)];
      const [qkv, gate] = [make.empty("qkv", [1, 3 * width]), make.empty("gate", [1, width])];
      const state = make.empty("state", [4, heads, D, D]);
      const maps = [make.linear(type, [3 * width, H]), make.linear(type, [width, H])];
      const back = make.linear(type, [H, width]);
      const mixed = apart ? make.vector("mixed", [1, width]) : out;
      const how: LinearAttention = {
        ...{ heads, kvHeads: heads, headDim: D, silu, groups, groupNorm: make.norm(width) },
        ...{ queryNorm: plain ? null : make.norm(D), keyNorm: plain ? null : make.norm(D, 1e-2) },
        rope: plain ? null : make.rope(4, half),
        logDecay: Array.from({ length: heads }, (_, h) => -0.5 * 2 ** -h),
      };
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.project([qkv, gate], hidden, norm, maps);
        ops.linearAttention(out, qkv, gate, state, how);
        ops.projectAdd(hidden, mixed, back);
      };
      return { build, results: [hidden, state] };
    },
  };
}

export const ROW_CASES: readonly OpCase[] = [
  mlpCase("bf16", {
    ...{ T: 1, H: 256, I: 64, E: 16, K: 4, shared: 64, groups: 4, groupsKept: 2, bias: (e) => 0.1 * Math.sin(e) },
  }),
  mlpCase("f32", { T: 3, H: 160, I: 48, E: 9, K: 3, shared: 32, score: "softmax", normalize: false }),
  mlpCase("f16", { T: 2, H: 288, I: 144, E: 20, K: 2, shared: 0 }),
  mlpCase("bf16", { T: 2, H: 64, I: 32, E: 8, K: 2, shared: 32, apart: true }),
  linearLayerCase("bf16", { H: 64, heads: 1, D: 64, half: 16, groups: 1, apart: true }),
  linearLayerCase("bf16", { H: 256, heads: 4, D: 64, half: 16, groups: 2 }),
  linearLayerCase("f32", { H: 48, heads: 1, D: 128, half: 64, groups: 1, silu: true }),
  linearLayerCase("f16", { H: 288, heads: 6, D: 64, half: 8, groups: 4, plain: true }),
  linearLayerCase("bf16", { H: 32, heads: 3, D: 64, half: 32, groups: 4 }),
];

/** Cases at the edges: ties at the cut, logits whose exp overflows, a large epsilon, tokens out of order. */
import type { Ops } from "../../src/backend/backend.ts";
import type { Weight } from "../../src/backend/tensor.ts";
import { type CaseMaker, hiddenStep } from "./case_maker.ts";
import type { OpCase } from "./op_case.ts";

const WIDTH = 32;

/** Candidates of rows of 5000 logits, in pairs or all equal; so large that exp() of them overflows. */
function tiesCase(title: string, perRow: number, norm: number, map: (make: CaseMaker) => Weight): OpCase {
  return {
    name: `head and candidates of ${title}`,
    steps: [hiddenStep(WIDTH, [[0, 0, 3]], [0, 1, 2])],
    prepare(make) {
      const hidden = make.empty("hidden", [3, WIDTH]);
      const large = { weight: make.vector("norm", [WIDTH], norm / 10, norm), eps: 1e-6 };
      const [weight, logits] = [map(make), make.empty("logits", [3, 5000])];
      const found = {
        ids: make.empty("ids", [3, perRow], "u32"),
        logits: make.empty("candidates", [3, perRow]),
        logSumExp: make.empty("logSumExp", [3]),
      };
      const build = (ops: Ops) => {
        ops.receive(hidden);
        ops.head(logits, hidden, large, weight);
        ops.candidates(found, logits);
      };
      return { build, results: [found.ids, found.logits, found.logSumExp] };
    },
  };
}

/** The last candidate takes one of a pair only. */
const TIES_AT_THE_CUT = tiesCase(
  "large logits, 9 of 5000, pairs of equal logits",
  9,
  100,
  (make) => make.weight("f32", [5000, WIDTH], [1, 1], true),
);

/** All logits are 0 but the last four, which are larger in some rows: far more than there is room for reach any bound. */
const EQUAL_LOGITS = tiesCase("equal logits, 9 of 5000", 9, 1, (make) => {
  const factors = Array.from({ length: 5000 }, (_, n) => Math.max(0, n - 4995));
  return {
    values: make.given("map", [5000, WIDTH], factors.flatMap((factor) => Array(WIDTH).fill(factor))),
    scales: null,
  };
});

const LARGE_EPSILON: OpCase = {
  name: "project behind a norm of large epsilon",
  steps: [hiddenStep(WIDTH, [[0, 0, 2]])],
  prepare(make) {
    const [hidden, out] = [make.empty("hidden", [2, WIDTH]), make.empty("out", [2, 8])];
    const [norm, map] = [make.norm(WIDTH, 0.5), make.linear("f32", [8, WIDTH])];
    const build = (ops: Ops) => {
      ops.receive(hidden);
      ops.project([out], hidden, norm, [map]);
    };
    return { build, results: [out] };
  },
};

const FALLING_TOKENS: OpCase = {
  name: "embed tokens that are no positions",
  steps: [{ segments: [{ slot: 0, start: 0, rows: 4 }], outputs: new Uint32Array(), rows: Uint32Array.of(9, 8, 7, 8) }],
  prepare(make) {
    const [hidden, table] = [make.empty("hidden", [4, WIDTH]), make.weight("bf16", [10, WIDTH])];
    return { build: (ops) => ops.embed(hidden, table), results: [hidden] };
  },
};

export const EDGE_CASES: readonly OpCase[] = [TIES_AT_THE_CUT, EQUAL_LOGITS, LARGE_EPSILON, FALLING_TOKENS];

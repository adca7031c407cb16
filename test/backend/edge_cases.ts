/** Cases at the edges: ties at the cut, logits whose exp overflows, a large epsilon, tokens out of order. */
import type { Ops } from "../../src/backend/backend.ts";
import { hiddenStep } from "./case_maker.ts";
import type { OpCase } from "./cases.ts";

const WIDTH = 32;

/** Logits in equal pairs, of which the last candidate takes one only; so large that exp() of them overflows. */
const TIES_AT_THE_CUT: OpCase = {
  name: "head and candidates of large logits, 9 of 5000, pairs of equal logits",
  steps: [hiddenStep(WIDTH, [[0, 0, 3]], [0, 1, 2])],
  prepare(make) {
    const hidden = make.empty("hidden", [3, WIDTH]);
    const norm = { weight: make.vector("norm", [WIDTH], 10, 100), eps: 1e-6 };
    const [map, logits] = [make.weight("f32", [5000, WIDTH], [1, 1], true), make.empty("logits", [3, 5000])];
    const found = {
      ids: make.empty("ids", [3, 9], "u32"),
      logits: make.empty("candidates", [3, 9]),
      logSumExp: make.empty("logSumExp", [3]),
    };
    const build = (ops: Ops) => {
      ops.receive(hidden);
      ops.head(logits, hidden, norm, map);
      ops.candidates(found, logits);
    };
    return { build, results: [found.ids, found.logits, found.logSumExp] };
  },
};

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

export const EDGE_CASES: readonly OpCase[] = [TIES_AT_THE_CUT, LARGE_EPSILON, FALLING_TOKENS];

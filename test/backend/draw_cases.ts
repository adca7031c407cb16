/** Cases of drawing from candidates, and of going on with what was drawn. */
import type { StepInput } from "../../src/backend/backend.ts";
import type { Draw } from "../../src/pipeline/steps.ts";
import { withPlaces } from "./attention_cases.ts";
import type { OpCase } from "./op_case.ts";

const PLAIN: Draw = { temperature: 1, topK: 1000, topP: 1, minP: 0, u: 0.5 };

/** Each draw for u from near 0 to 1, so that every place is reached, with all that it keeps at work. */
const RULES: readonly Partial<Draw>[] = [
  { topK: 1 },
  {},
  { temperature: 0.6, topK: 5 },
  { temperature: 2, topK: 20 },
  { temperature: 0.7, topP: 0.9 },
  { topP: 0.3, topK: 9 },
  { topP: 0.97 },
  { minP: 0.3 },
  { temperature: 1.5, topK: 11, topP: 0.8, minP: 0.2 },
];

const US = [1e-9, 0.1, 0.23, 0.5, 0.77, 0.93, 0.99];
const DRAWS = RULES.flatMap((rule) => US.map((u): Draw => ({ ...PLAIN, ...rule, u })));

/** Rows of a step. */
const R = 6;
const [V, H] = [1000, 8];

/** Candidates of R rows of V tokens; the others of a row weigh `others` times as much as the last candidate. */
function drawCase(perRow: number, others: number): OpCase {
  const logits = Array.from({ length: R }, (_, r) => {
    const steep = 0.05 + 0.1 * r;
    return Array.from({ length: perRow }, (_, i) => 3 - r - steep * i - (i % 3 === 2 ? 0.01 * steep : 0));
  });
  const logSumExp = logits.map((row) =>
    Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0) + others * Math.exp(row.at(-1)!))
  );
  return {
    name: `draw from ${perRow} candidates, others of mass ${others}`,
    steps: STEPS,
    prepare(make) {
      const found = {
        ids: make.indices("ids", [R, perRow], (i) => (i * 37 + 5) % V),
        logits: make.given("candidates", [R, perRow], logits.flat()),
        logSumExp: make.given("logSumExp", [R], logSumExp),
      };
      const [hidden, trail] = [make.empty("hidden", [R, H]), make.empty("trail", [R * MOST, 2 * perRow + 2], "u32")];
      const table = make.weight("bf16", [V, H]);
      return {
        build: (ops) => {
          ops.embed(hidden, table);
          ops.draw(trail, found);
        },
        results: [hidden, trail],
      };
    },
  };
}

/** Steps of a run at most. */
const MOST = 8;

/** Runs that go on by up to seven steps, or by none. */
const STEPS = Array.from({ length: Math.ceil(DRAWS.length / R / (MOST - 1)) + 1 }, (_, run): StepInput => {
  const rows = Array.from({ length: R }, (_, row) => row);
  const draws = Array.from({ length: MOST - 1 }, (_, i) => rows.map((row) => DRAWS[(run * (MOST - 1) + i) * R + row]!));
  return {
    segments: rows.map((slot) => ({ slot, start: run + slot, rows: 1 })),
    outputs: Uint32Array.from(rows),
    rows: Uint32Array.from(rows, (row) => 7 * row + run),
    draws: draws.filter((row) => row.every((draw) => draw !== undefined)),
  };
});

/** Chains of sequences with linear states, which are read in one place and written in another by the first step only. */
function chainCase(sequences: number, D: number): OpCase {
  const perRow = 4;
  const ids = Array.from({ length: sequences }, (_, slot) => slot);
  const draw = (run: number, i: number, slot: number): Draw => ({
    ...PLAIN,
    u: ((run + i + slot) % perRow + 0.5) / perRow,
  });
  const steps = Array.from({ length: 4 }, (_, run): StepInput => ({
    segments: ids.map((slot) => ({ slot, start: 3 * run + slot, rows: 1 })),
    outputs: Uint32Array.from(ids),
    rows: Uint32Array.from(ids, (slot) => 11 * slot + run),
    draws: Array.from({ length: 3 }, (_, i) => ids.map((slot) => draw(run, i, slot))),
  }));
  return {
    name: `a chain of ${sequences} sequences with states of ${D} channels`,
    steps: withPlaces(steps, sequences),
    prepare(make) {
      const width = 64;
      const found = {
        ids: make.indices("ids", [sequences, perRow], (i) => (i * 37 + 5) % V),
        logits: make.given("candidates", [sequences, perRow], Array(sequences * perRow).fill(0)),
        logSumExp: make.given("logSumExp", [sequences], Array(sequences).fill(Math.log(perRow))),
      };
      const trail = make.empty("trail", [3 * sequences, 2 * perRow + 2], "u32");
      const f32 = (label: string, wide: number) => make.empty(label, [sequences, wide]);
      const [hidden, qkv, gate, out] = [f32("hidden", width), f32("qkv", 3 * D), f32("gate", D), f32("out", D)];
      const [table, state] = [make.weight("bf16", [V, width]), make.empty("state", [2 * sequences, 1, D, D])];
      const maps = [make.linear("bf16", [3 * D, width]), make.linear("bf16", [D, width])];
      const [norm, back] = [make.norm(width), make.linear("bf16", [width, D])];
      const how = {
        ...{ heads: 1, kvHeads: 1, headDim: D, silu: false, queryNorm: null, keyNorm: null, rope: null },
        ...{ logDecay: [-0.1], groupNorm: make.norm(D), groups: 1 },
      };
      return {
        build: (ops) => {
          ops.embed(hidden, table);
          ops.project([qkv, gate], hidden, norm, maps);
          ops.linearAttention(out, qkv, gate, state, how);
          ops.projectAdd(hidden, out, back);
          ops.draw(trail, found);
        },
        results: [hidden, trail, state],
      };
    },
  };
}

export const DRAW_CASES: readonly OpCase[] = [
  ...[drawCase(16, 5), drawCase(13, 0.1), drawCase(64, 30)],
  ...[chainCase(1, 8), chainCase(1, 64), chainCase(3, 8), chainCase(3, 64)],
];

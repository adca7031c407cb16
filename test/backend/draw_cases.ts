/** Cases of drawing from candidates, and of going on with what was drawn. */
import type { StepInput } from "../../src/backend/backend.ts";
import type { Draw } from "../../src/pipeline/messages.ts";
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

export const DRAW_CASES: readonly OpCase[] = [drawCase(16, 5), drawCase(13, 0.1), drawCase(64, 30)];

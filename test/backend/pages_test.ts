/** Where pages lie makes no difference: to the bit, on every backend. */
import { strict as assert } from "node:assert";
import type { Backend, Heads, Ops, StepInput } from "../../src/backend/backend.ts";
import { cacheOf } from "./attention_cases.ts";
import { testOnBackends } from "./backends.ts";
import { CaseMaker, hiddenStep } from "./case_maker.ts";
import { capacityOf } from "./cases.ts";

const [WIDTH, HEADS, KV_HEADS, D, PAGE, CONTEXT] = [32, 4, 2, 16, 64, 320];

/** Pages of two sequences of 5 stretches each, in blocks of so many. */
interface Layout {
  readonly blocks: readonly number[];
  readonly tables: readonly (readonly number[])[];
}

const IN_ORDER: Layout = { blocks: [10], tables: [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]] };

const LAYOUTS: readonly Layout[] = [
  { blocks: [10], tables: [[9, 0, 4, 2, 7], [1, 3, 5, 6, 8]] },
  { blocks: [2, 3, 5], tables: [[0, 2, 3, 5, 6], [1, 4, 7, 8, 9]] },
  { blocks: [1, 1, 1, 7], tables: [[9, 2, 1, 0, 3], [8, 7, 6, 5, 4]] },
];

/** The rows that attention gives for some steps. */
async function attended(backend: Backend, type: "f32" | "f16", { blocks, tables }: Layout, steps: StepInput[]) {
  const placed = steps.map((step) => ({
    ...step,
    pages: step.segments.map(({ slot, start, rows }) => tables[slot]!.slice(0, Math.ceil((start + rows) / PAGE))),
  }));
  const capacity = capacityOf(placed);
  const make = new CaseMaker(backend, 4);
  const hidden = make.empty("hidden", [capacity.rows, WIDTH]);
  const wide = (HEADS + 2 * KV_HEADS) * D;
  const [qkv, out] = [make.empty("qkv", [capacity.rows, wide]), make.empty("out", [capacity.rows, HEADS * D])];
  const [norm, map, cache] = [
    make.norm(WIDTH),
    make.linear("f32", [wide, WIDTH]),
    cacheOf(make, { type, blocks }, [KV_HEADS, D]),
  ];
  const how: Heads = {
    ...{ heads: HEADS, kvHeads: KV_HEADS, headDim: D, silu: false, queryNorm: make.norm(D), keyNorm: make.norm(D) },
    rope: make.rope(CONTEXT, D / 4),
  };
  await make.written();
  const plan = backend.record(capacity, (ops: Ops) => {
    ops.receive(hidden);
    ops.project([qkv], hidden, norm, [map]);
    ops.softmaxAttention(out, qkv, cache, how);
  });
  const results: Uint32Array[] = [];
  for (const step of placed) {
    const elements = HEADS * D * step.rows!.length / WIDTH;
    results.push(new Uint32Array((await backend.run(plan, step, [{ tensor: out, elements }]))[0]!));
  }
  return results;
}

/** Two sequences side by side, so many rows at once. */
const stepsOf = (rows: number, starts: readonly number[]) =>
  starts.map((start) => hiddenStep(WIDTH, [[1, start, rows], [0, start, rows]], [], start + 1));

for (const type of ["f32", "f16"] as const) {
  testOnBackends(`softmaxAttention() over ${type} gives the same bits wherever pages lie`, async ({ open }) => {
    for (const [rows, starts] of [[100, [0, 100, 200]], [9, [0, 9, 300]]] as const) {
      using backend = await open();
      const steps = stepsOf(rows, starts);
      const expected = await attended(backend, type, IN_ORDER, steps);
      assert.ok(expected.every((bits) => bits.some((word) => word !== 0)));
      for (const layout of LAYOUTS) {
        const actual = await attended(backend, type, layout, steps);
        actual.forEach((bits, step) => {
          const others = bits.filter((word, i) => word !== expected[step]![i]).length;
          assert.equal(
            others,
            0,
            `${others} of ${bits.length} values of step ${step} over ${layout.blocks.join(" + ")} pages`,
          );
        });
      }
    }
  });
}

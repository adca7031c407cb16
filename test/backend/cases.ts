/** The one table of kernel cases: every backend runs it against the float64 loops, benchmarks time it. */
import { strict as assert } from "node:assert";
import type { Backend, Capacity, Read, StepInput } from "../../src/backend/backend.ts";
import { elements, type Tensor, type WeightType } from "../../src/backend/tensor.ts";
import { ATTENTION_CASES } from "./attention_cases.ts";
import { CaseMaker } from "./case_maker.ts";
import { DRAW_CASES } from "./draw_cases.ts";
import { EDGE_CASES } from "./edge_cases.ts";
import { EXPERT_CASES } from "./expert_cases.ts";
import type { OpCase } from "./op_case.ts";
import { PRODUCT_CASES } from "./product_cases.ts";
import { ReferenceBackend } from "./reference_backend.ts";
import { type apply, decode } from "./reference_tensor.ts";
import { ROW_CASES } from "./row_cases.ts";

/** Largest |difference| allowed, in units of the largest |reference|: rounding of f32 sums, nothing more. */
const TOLERANCE = 3e-6;

const rowsIn = (step: StepInput) => step.segments.reduce((sum, segment) => sum + segment.rows, 0);
const most = (counts: readonly number[]) => Math.max(...counts);

export const CASES: readonly OpCase[] = [
  ...PRODUCT_CASES,
  ...EXPERT_CASES,
  ...ATTENTION_CASES,
  ...ROW_CASES,
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

/** What the reference gives for the results of a case. */
interface Expectation {
  readonly tensors: readonly Tensor[];
  /** Of the case's weights. */
  readonly types: ReadonlySet<WeightType>;
  /** By step, then by tensor. */
  readonly values: readonly (readonly ArrayBuffer[])[];
}

/** What a backend is compared with. */
export interface Standard {
  readonly product?: typeof apply;
  /** In place of {@linkcode TOLERANCE}. */
  readonly tolerance?: number;
}

const EXACT: Standard = {};

const expectations = new Map<Standard, Map<OpCase, Promise<Expectation>>>();

/** Computed once for all backends. */
function expectation(opCase: OpCase, standard: Standard): Promise<Expectation> {
  const all = expectations.get(standard) ?? new Map<OpCase, Promise<Expectation>>();
  expectations.set(standard, all);
  const known = all.get(opCase) ?? expect(opCase, standard);
  all.set(opCase, known);
  return known;
}

async function expect(opCase: OpCase, { product }: Standard): Promise<Expectation> {
  const make = new CaseMaker(new ReferenceBackend(), 20);
  const { results: tensors } = opCase.prepare(make);
  return { tensors, types: make.types, values: await runCase(new ReferenceBackend(product), opCase) };
}

/** For a backend that rounds what it multiplies with weights of a type: bounds in place of TOLERANCE. */
export type Roundings = Readonly<Partial<Record<WeightType, number>>>;

/** Gives the results; throws AssertionError unless they are the reference's: indices equal, values within rounding. */
export async function checkCase(
  backend: Backend,
  opCase: OpCase,
  roundings: Roundings = {},
  standard: Standard = EXACT,
): Promise<ArrayBuffer[][]> {
  const { tensors, types, values: expected } = await expectation(opCase, standard);
  const tolerance = most([standard.tolerance ?? TOLERANCE, ...[...types].map((type) => roundings[type] ?? 0)]);
  const actual = await runCase(backend, opCase);
  expected.forEach((results, step) =>
    results.forEach((buffer, i) => {
      const { label, dtype } = tensors[i]!;
      const where = `${opCase.name}: ${label} after step ${step}`;
      if (dtype === "u32") {
        const [indices, right] = [new Uint32Array(actual[step]![i]!), new Uint32Array(buffer)];
        // What is rounded may order two of almost equal logits otherwise; the logits are compared too.
        if (tolerance > TOLERANCE) assert.deepEqual(indices.toSorted(), right.toSorted(), where);
        else assert.deepEqual(indices, right, where);
      } else {
        const values = new Float32Array(decode(dtype, new Uint8Array(actual[step]![i]!)));
        compare(values, new Float32Array(buffer), most([opCase.bounds?.[label] ?? 0, tolerance]), where);
      }
    })
  );
  return actual;
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

/** What a kernel case is. */
import type { Ops, StepInput } from "../../src/backend/backend.ts";
import type { Tensor, WeightType } from "../../src/backend/tensor.ts";
import type { CaseMaker } from "./case_maker.ts";

/** Types that are stored number by number. */
export const TYPES: readonly WeightType[] = ["f32", "bf16", "f16", "f8_e4m3"];

/** Operations on seeded tensors, and the steps to run them for. */
export interface OpCase {
  readonly name: string;
  readonly steps: readonly StepInput[];
  /** Bounds of its own for results of some label, where they are not only rounded to f32; in the units of TOLERANCE. */
  readonly bounds?: Readonly<Record<string, number>>;
  /** Makes the tensors; returns what to record and which tensors to compare after each step. */
  readonly prepare: (make: CaseMaker) => { readonly build: (ops: Ops) => void; readonly results: readonly Tensor[] };
}

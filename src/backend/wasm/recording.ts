/** The calls of one plan while they are collected, with what several operations share: norms and products. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import type { Ptr } from "../../../wasm/memory.ts";
import type { Capacity, Norm } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { type Bindings, f32, sides } from "./binding.ts";
import type { Scratch } from "./scratch.ts";
import type { StepTables } from "./step_tables.ts";

/** Rows that the matrix kernels pack at once, weights included; scratch of kernels.h. */
const PACKED_ROWS = 36;

/** What all plans of a backend share. */
export interface Shared {
  readonly kernels: KernelsExports;
  readonly bindings: Bindings;
  readonly scratch: Scratch;
}

/** Which rows a product is taken of. */
export type RowCount = "rowCount" | "outputCount";

export class Recording {
  readonly calls: (() => void)[] = [];
  readonly kernels: KernelsExports;
  readonly bindings: Bindings;
  readonly scratch: Scratch;
  /** The norm whose result `normed` is in the scratch, while hidden stays as it is. */
  #current: { readonly hidden: Tensor; readonly norm: Norm } | null = null;

  constructor({ kernels, bindings, scratch }: Shared, readonly capacity: Capacity, readonly step: StepTables) {
    this.kernels = kernels;
    this.bindings = bindings;
    this.scratch = scratch;
  }

  /** Adds a call that changes hidden, so that norms are taken anew. */
  changing(call: () => void): void {
    this.#current = null;
    this.calls.push(call);
  }

  /** norm(hidden), computed only if the last one was another: [rows, H] */
  normed(hidden: Tensor, norm: Norm): Ptr<"f32"> {
    const H = norm.weight.shape[0]!;
    const y = this.scratch.get("normed", "f32", this.capacity.rows * H);
    if (this.#current?.hidden === hidden && this.#current.norm === norm) return y;
    this.#current = { hidden, norm };
    const { kernels, step } = this;
    const [x, weight, eps] = [f32(hidden), f32(norm.weight), norm.eps];
    this.calls.push(() => kernels.rms_norm(y, x, weight, eps, H, 0, step.rowCount));
    return y;
  }

  /** The call for y = x @ W^T + bias, or y += with `add`, over all rows or all outputs of a step. */
  product(
    y: Ptr<"f32">,
    x: Ptr<"f32">,
    weight: Weight,
    { bias = null, add = false, rows = "rowCount" }: { bias?: Tensor | null; add?: boolean; rows?: RowCount } = {},
  ): () => void {
    const { kernels, step } = this;
    const [N] = sides(weight);
    const [matrix, packed, mode] = [this.bindings.matrix(weight, bias), this.packed(weight), Number(add)];
    return () => kernels.matmul(y, x, matrix, packed, step[rows], mode, 0, N);
  }

  /** Where the matrix kernels pack rows and weights. */
  packed(weight: Weight): Ptr<"f32"> {
    return this.scratch.get("packed", "f32", PACKED_ROWS * sides(weight)[1]);
  }
}

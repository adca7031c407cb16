/** The calls of one plan while they are collected, with what several operations share: norms and products. */
import type { Ptr } from "../../../wasm/memory.ts";
import type { Capacity, Norm, Routing } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { type Bindings, f32, sides } from "./binding.ts";
import type { Arguments, Call, Count, KernelName, Own, OwnWork, PlannedCall, Range } from "./call.ts";
import { codeType, Input, narrowedWords } from "./input.ts";
import type { Scratch } from "./scratch.ts";
import type { StepTables } from "./step_tables.ts";

/** Rows that the matrix kernels pack at once, weights included; scratch of kernels.h. */
const PACKED_ROWS = 36;

/** What all plans of a backend share. */
export interface Shared {
  readonly bindings: Bindings;
  readonly scratch: Scratch;
}

/** The pairs of a routing by expert, and where each expert's begin. */
export interface Sorted {
  readonly routing: Routing;
  readonly order: Ptr<"u32">;
  readonly starts: Ptr<"u32">;
}

/** What differs from product to product. */
interface Product {
  readonly bias?: Tensor | null;
  /** Adds to what is there. */
  readonly add?: boolean;
  /** Whether it may be made at the same time as the call before it. */
  readonly beside?: boolean;
}

/** What it takes to make a number an integer. */
const NARROWING = 8;

/** Outputs of a product that pieces have together at least: as many as kernels read side by side. */
export const COLUMNS = 8;

/** The rows of a step, of so much work each. */
export const rows = (work: number, each: Count = "rowCount"): Range => ({ size: 1, each, work, grain: 1 });

/** Elements, so many for each row; an exponential and a division of each take as long as many multiplications. */
export const elements = (width: number): Range => ({ size: width, each: "rowCount", work: 24, grain: 16 });

/** The N outputs of a product over K columns, `perRow` times for every row. */
export const columns = ([N, K]: readonly [N: number, K: number], times: Count, perRow = 1): Range => ({
  ...{ size: N, work: K * perRow, times, grain: COLUMNS },
});

export class Recording {
  readonly calls: PlannedCall[] = [];
  /** Linear states that they read and write. */
  readonly states: Tensor[] = [];
  readonly bindings: Bindings;
  readonly scratch: Scratch;
  /** What lies in the scratch of sorted pairs, until experts are chosen anew. */
  sorted: Sorted | null = null;
  /** The norm whose result is in the scratch, while hidden stays as it is. */
  #current: { readonly hidden: Tensor; readonly norm: Norm; readonly input: Input } | null = null;

  constructor({ bindings, scratch }: Shared, readonly capacity: Capacity, readonly step: StepTables) {
    this.bindings = bindings;
    this.scratch = scratch;
  }

  /** Adds a call of a kernel over a range, that comes when all calls before are over. */
  call<K extends KernelName>(kernel: K, args: Arguments<K>, range: Range): void {
    this.calls.push({ kernel, args, range, beside: false } satisfies Call);
  }

  /** The same for a call that neither reads nor writes what the call before writes: it comes when that one may. */
  beside<K extends KernelName>(kernel: K, args: Arguments<K>, range: Range): void {
    this.calls.push({ kernel, args, range, beside: true } satisfies Call);
  }

  /** Adds what only this thread does. */
  here(run: OwnWork): void {
    this.calls.push(run);
  }

  /** What comes next changes hidden, so that norms are taken anew. */
  changing(): void {
    this.#current = null;
  }

  /** norm(hidden), computed only if the last one was another: [rows, H] */
  normed(hidden: Tensor, norm: Norm): Input {
    if (this.#current?.hidden === hidden && this.#current.norm === norm) return this.#current.input;
    const H = norm.weight.shape[0]!;
    const x = this.scratch.get("normed", "f32", this.capacity.rows * H);
    this.call("rms_norm", [x, f32(hidden), f32(norm.weight), norm.eps, H, "begin", "end"], rows(4 * H));
    const input = new Input("normed", x, "rowCount", this.capacity.rows);
    this.#current = { hidden, norm, input };
    return input;
  }

  /** y = x @ W^T + bias, or y += with `add`, over all rows of x. */
  product(y: Ptr<"f32">, x: Input, weight: Weight, { bias = null, add = false, beside = false }: Product = {}): void {
    const [matrix, packed] = [this.bindings.matrix(weight, bias), this.packed(weight)];
    const rest = [matrix, packed, x.count, Number(add), "begin", "end"] as const;
    const range = columns(sides(weight), x.count);
    const { narrowed, isNew } = this.operand(x, weight);
    const when = beside && !isNew ? "beside" : "call";
    if (narrowed === null) this[when]("matmul", [y, x.values, ...rest], range);
    else this[when]("matmul_codes", [y, narrowed, ...rest], range);
  }

  /** x as integers where products with a weight are of integers, else null; and whether a call for it was added. */
  operand(x: Input, weight: Weight): { readonly narrowed: Ptr<"u32"> | null; readonly isNew: boolean } {
    const type = codeType(weight);
    if (type === null) return { narrowed: null, isNew: false };
    const known = x.narrowed.get(type);
    if (known !== undefined) return { narrowed: known, isNew: false };
    const [, K] = sides(weight);
    const name = `${x.label} for ${weight.values.dtype}`;
    const narrowed = this.scratch.get(name, "u32", x.perCount * x.most * narrowedWords(type, K));
    x.narrowed.set(type, narrowed);
    const range = { size: x.perCount, each: x.count, work: NARROWING * K, grain: 1 };
    this.call("narrow", [narrowed, x.values, type, K, "begin", "end"], range);
    return { narrowed, isNew: true };
  }

  /** Where the matrix kernels pack rows and weights. */
  packed(weight: Weight): Own<"f32"> {
    return this.scratch.own("packed", "f32", PACKED_ROWS * sides(weight)[1]);
  }
}

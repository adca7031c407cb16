/** A plan in the making: dispatches so far, scratch memory, and which norm of the hidden rows is at hand. */
import { type Constants, type Shader, SHADERS, type Variant } from "../../../shaders/mod.ts";
import type { Capacity, Norm } from "../backend.ts";
import { byteLength, type DataType, elements, type Tensor, type Weight } from "../tensor.ts";
import type { Choice } from "./decode_experts.ts";
import type { GatedNorm } from "./decode_products.ts";
import type { Device } from "./device.ts";
import type { Kernels, Types } from "./kernel.ts";
import { GpuTensor, type Memory } from "./memory.ts";
import { type Counts, type Dispatch, type Pages, type RowInput, stepBytes, WebGpuPlan } from "./plan.ts";

/** What one dispatch needs besides its shader and what it binds. */
export interface DispatchOptions extends Types {
  readonly constants?: Constants;
  readonly workgroups: (counts: Counts) => number;
  /**
   * What the next dispatch reads and this one does not. WebGPU lets a dispatch wait where a buffer comes to be used otherwise than before;
   * so both wait now, for what was before them, and then run side by side, if the next one writes only what is {@linkcode Recording.fresh}.
   */
  readonly ahead?: readonly GPUBuffer[];
}

/** What may be left to the operation that reads a tensor: its group norm and gate, or to choose the experts of which it is to tell. */
interface Left {
  readonly gated?: GatedNorm;
  readonly choice?: Choice;
}

/** Rows as f16, each over a power of two of its own (shaders/halve_rows.wgsl). */
export interface Halves {
  readonly halves: GPUBuffer;
  readonly scales: GPUBuffer;
}

export class Recording {
  readonly device: Device;
  readonly memory: Memory;
  readonly capacity: Capacity;
  /** Choices that are sorted by expert, and how many of them share a tile at most. */
  readonly sorted = new Map<Tensor, number>();
  readonly #kernels: Kernels;
  readonly #step: GPUBuffer;
  readonly #dispatches: Dispatch[] = [];
  readonly #scratch: Map<string, GPUBuffer>;
  readonly #fresh = new Map<string, number>();
  readonly #renewed = new Map<Tensor, GPUBuffer>();
  #input: RowInput | null = null;
  #places = Infinity;
  #context = Infinity;
  #pages: Pages | null = null;
  #left: { readonly of: Tensor; readonly what: Left; readonly finish: () => void } | null = null;
  #normed: { readonly hidden: Tensor; readonly norm: Norm; readonly rows: "rows" | "outputs" } | null = null;
  #halvedNorm: Halves | null = null;

  /** `scratch` is shared by all plans of a backend, as only one runs at a time. */
  constructor(
    device: Device,
    memory: Memory,
    kernels: Kernels,
    capacity: Capacity,
    scratch: Map<string, GPUBuffer> = new Map<string, GPUBuffer>(),
  ) {
    this.device = device;
    this.memory = memory;
    this.capacity = capacity;
    this.#kernels = kernels;
    this.#scratch = scratch;
    this.#step = this.scratch("step", stepBytes(capacity) / 4);
  }

  /** Appends one dispatch. Every kernel reads the step. */
  dispatch<B extends string, P extends string>(
    shader: Shader<B, P>,
    { constants = {}, workgroups, ahead = [], ...types }: DispatchOptions,
    buffers: Readonly<Record<Exclude<B, "step">, GPUBuffer>>,
    params: Readonly<Record<P, number>>,
  ): void {
    this.#finishLeft();
    const kernel = this.#kernels.get(shader, constants, types, ahead.length);
    const bound = kernel.bind({ ...buffers, step: this.#step } as Readonly<Record<B, GPUBuffer>>, params, ahead);
    this.#dispatches.push({ ...bound, workgroups });
  }

  /** Compiles a kernel that a later recording will need. */
  prepare<B extends string, P extends string>(
    shader: Shader<B, P>,
    { constants = {}, ...types }: Omit<DispatchOptions, "workgroups" | "ahead">,
  ): void {
    this.#kernels.get(shader, constants, types);
  }

  /** At least so many f32 or u32 within a step; what one operation leaves there, the next of that label overwrites. */
  scratch(label: string, elements: number): GPUBuffer {
    const known = this.#scratch.get(label);
    if (known !== undefined && known.size >= 4 * elements) return known;
    const buffer = this.memory.buffer(label, 4 * elements);
    this.#scratch.set(label, buffer);
    return buffer;
  }

  /** The same, but nothing in this plan has used it yet: a dispatch that writes there need not wait. */
  fresh(label: string, elements: number): GPUBuffer {
    const used = this.#fresh.get(label) ?? 0;
    this.#fresh.set(label, used + 1);
    return this.scratch(`${label} ${used}`, elements);
  }

  /** A fresh buffer that holds a tensor from now on, for those who ask for it by {@linkcode bufferOf}. */
  renew(tensor: Tensor): GPUBuffer {
    const buffer = this.fresh(tensor.label, elements(tensor.shape));
    this.#renewed.set(tensor, buffer);
    return buffer;
  }

  bufferOf(tensor: Tensor): GPUBuffer {
    return this.#renewed.get(tensor) ?? whole(tensor);
  }

  /** norm(hidden) of all rows [T, H], or of the output rows [R, H]; computed anew only if hidden has changed. */
  normed(hidden: Tensor, norm: Norm, rows: "rows" | "outputs" = "rows"): GPUBuffer {
    const width = hidden.shape.at(-1)!;
    const normed = this.scratch("normed", this.capacity[rows] * width);
    const last = this.#normed;
    if (
      last?.hidden === hidden && last.norm.weight === norm.weight && last.norm.eps === norm.eps && last.rows === rows
    ) {
      return normed;
    }
    this.dispatch(
      SHADERS.rmsNorm,
      {
        constants: { LANES: this.device.wideLanes, OUTPUTS: rows === "outputs" },
        workgroups: (counts) => counts[rows],
      },
      { hidden: whole(hidden), weight: whole(norm.weight), normed },
      { columns: width / 4, epsilon: norm.eps },
    );
    this.#normed = { hidden, norm, rows };
    this.#halvedNorm = null;
    return normed;
  }

  /** norm(hidden) of all rows as f16. */
  halvedNorm(hidden: Tensor, norm: Norm): Halves {
    const normed = this.normed(hidden, norm);
    return this.#halvedNorm ??= this.halved(normed, hidden.shape.at(-1)!);
  }

  /** Rows of width K as f16, `perRow` for each of the step's: x[T, perRow, K]. */
  halved(x: GPUBuffer, width: number, perRow = 1): Halves {
    const rows = perRow * this.capacity.rows;
    const label = this.#normed !== null && x === this.#scratch.get("normed") ? "normed" : "rows";
    const halves = this.scratch(`halves of ${label}`, rows * width / 2);
    const scales = this.scratch(`scales of ${label}`, rows);
    this.dispatch(
      SHADERS.halveRows,
      {
        constants: { LANES: this.device.wideLanes, COLUMNS: width / 4, PER_ROW: perRow },
        workgroups: (counts) => perRow * counts.rows,
      },
      { x, halves, scales },
      {},
    );
    return { halves, scales };
  }

  /** Says that hidden changes, so that its norm must be computed anew. */
  changed(hidden: Tensor): void {
    if (this.#normed?.hidden === hidden) this.#normed = null;
  }

  /** Leaves work on `of` to the operation that comes next, or to `finish` if that does not {@linkcode take} it. */
  leave(of: Tensor, what: Left, finish: () => void): void {
    this.#left = { of, what, finish };
  }

  /** What was left to do with `of`, for the caller to do. */
  take<Kind extends keyof Left>(of: Tensor, kind: Kind): NonNullable<Left[Kind]> | null {
    const what = this.#left?.of === of ? this.#left.what[kind] : undefined;
    if (what === undefined) return null;
    this.#left = null;
    return what;
  }

  #finishLeft(): void {
    const left = this.#left;
    this.#left = null;
    left?.finish();
  }

  /** Says what the rows of a step are. */
  takes(input: RowInput): void {
    this.#input = input;
  }

  /** Says how many places for states, or how many positions of a sequence, something recorded has. */
  bounds({ places = Infinity, context = Infinity }: { readonly places?: number; readonly context?: number }): void {
    this.#places = Math.min(this.#places, places);
    this.#context = Math.min(this.#context, context);
  }

  /** Says what pages there are; those of all layers are alike. */
  paged(pages: Pages): void {
    this.#pages = pages;
  }

  finish(): WebGpuPlan {
    this.#finishLeft();
    return new WebGpuPlan({
      capacity: this.capacity,
      step: this.#step,
      dispatches: this.#dispatches,
      input: this.#input,
      places: this.#places,
      context: this.#context,
      pages: this.#pages,
    });
  }
}

/** A tensor of this backend. */
export function own(tensor: Tensor): GpuTensor {
  if (tensor instanceof GpuTensor) return tensor;
  throw new TypeError(`Cannot use ${tensor.label} on the GPU: another backend made it`);
}

/**
 * The buffer of a tensor that a kernel needs in one piece.
 * @throws {RangeError} if it is in several
 * @throws {TypeError} if it is of another type
 */
export function whole(tensor: Tensor, dtype: DataType = "f32"): GPUBuffer {
  const { parts } = own(tensor);
  if (tensor.dtype !== dtype) {
    throw new TypeError(`Cannot bind ${tensor.label}: its elements are ${tensor.dtype}, the kernel reads ${dtype}`);
  }
  if (parts.length === 1) return parts[0]!.buffer;
  throw new RangeError(
    `Cannot bind ${tensor.label} [${tensor.shape}] in one piece: its ${
      byteLength(tensor)
    } bytes are more than the device ` +
      "binds at once; lower the rows of a step, or the context",
  );
}

/** How kernels find the factors of some weights (shaders/lib/tile.wgsl), and the buffer that holds them. */
export function scaling(recording: Recording, weight: Weight): { factors: GPUBuffer; constants: Constants } {
  if (weight.scales === null) {
    return { factors: recording.memory.nothing, constants: { SCALED: false, BLOCK_ROWS: 1, BLOCK_COLUMNS: 4 } };
  }
  const { factors, block: [rows, columns] } = weight.scales;
  if (columns % 4 !== 0) {
    throw new RangeError(
      `Cannot use blocks of ${rows} × ${columns} in ${weight.values.label}: four columns at a time share a factor`,
    );
  }
  const constants = { SCALED: true, BLOCK_ROWS: rows, BLOCK_COLUMNS: columns };
  return { factors: whole(factors, weight.values.dtype === "f8_e4m3" ? "f32" : "f16"), constants };
}

/** The type of some weights' values. */
export function weightType({ values }: Weight): NonNullable<Variant["weight"]> {
  if (values.dtype !== "u32") return values.dtype;
  throw new TypeError(`Cannot use ${values.label} as weights: its elements are u32`);
}

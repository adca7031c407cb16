/** Makes the same seeded tensors on any backend. */
import type { Backend, Linear, Norm, StepInput } from "../../src/backend/backend.ts";
import { type Block, elements, type Tensor, type Weight, type WeightType } from "../../src/backend/tensor.ts";

/** Uniform in [-1, 1), by mulberry32: the same on every machine. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** `values` in a storage type; codes of the last three are random ones, NaN excepted. */
function encode(type: WeightType, values: Float32Array): Uint8Array {
  if (type === "f32") return new Uint8Array(values.buffer);
  if (type === "f16") return new Uint8Array(new Float16Array(values).buffer);
  if (type === "bf16") {
    const words = new Uint32Array(values.buffer);
    return new Uint8Array(new Uint16Array(words.map((word) => word >>> 16)).buffer);
  }
  const codes = new Uint8Array(values.map((value) => Math.floor((value + 1) * 128) & 0xff));
  if (type === "q4") return codes.subarray(codes.length / 2).map((code, i) => code & 15 | codes[i]! & 0xf0);
  return type === "q8" ? codes : codes.map((code) => (code & 0x7f) === 0x7f ? code - 1 : code);
}

/** Tensors of one case, on one backend. The same calls in the same order give the same values. */
export class CaseMaker {
  readonly #random: () => number;
  readonly #writes: Promise<void>[] = [];
  /** Of the weights that it made. */
  readonly types = new Set<WeightType>();

  constructor(readonly backend: Backend, seed: number) {
    this.#random = random(seed);
  }

  /** Resolves when every value is where it belongs. */
  async written(): Promise<void> {
    await Promise.all(this.#writes);
  }

  #values(count: number, spread: number, centre = 0): Float32Array {
    return new Float32Array(count).map(() => centre + spread * this.#random());
  }

  #filled(label: string, type: WeightType, shape: readonly number[], values: Float32Array): Tensor {
    const tensor = this.backend.tensor(label, type, shape);
    this.#writes.push(this.backend.write(tensor, 0, encode(type, values)));
    return tensor;
  }

  /** Zeros. */
  empty(label: string, shape: readonly number[], type: "f32" | "u32" | "f16" = "f32"): Tensor {
    return this.backend.tensor(label, type, shape);
  }

  /** f32, within `spread` of `centre`. */
  vector(label: string, shape: readonly number[], spread = 1, centre = 0): Tensor {
    return this.#filled(label, "f32", shape, this.#values(elements(shape), spread, centre));
  }

  /** f32 values of one's own. */
  given(label: string, shape: readonly number[], values: readonly number[]): Tensor {
    return this.#filled(label, "f32", shape, Float32Array.from(values));
  }

  /** u32 values of one's own. */
  indices(label: string, shape: readonly number[], value: (index: number) => number): Tensor {
    const tensor = this.backend.tensor(label, "u32", shape);
    const values = Uint32Array.from({ length: elements(shape) }, (_, i) => value(i));
    this.#writes.push(this.backend.write(tensor, 0, new Uint8Array(values.buffer)));
    return tensor;
  }

  norm(size: number, eps = 1e-6): Norm {
    return { weight: this.vector("norm", [size], 0.5, 1), eps };
  }

  /** Products with rows of size 1 are of size 1. `equalRows` makes rows n and n + 1 equal for every even n: ties. */
  weight(type: WeightType, shape: readonly number[], block: Block = [128, 128], equalRows = false): Weight {
    this.types.add(type);
    const [N, K] = shape.slice(-2) as [number, number];
    const coded = type === "f8_e4m3" || type === "q8" || type === "q4";
    const spread = coded ? 1 : Math.sqrt(3 / K);
    const values = this.#values(elements(shape), spread);
    if (equalRows) { for (let n = 0; n + 1 < N; n += 2) values.copyWithin((n + 1) * K, n * K, (n + 1) * K); }
    const tensor = this.#filled(`${type} weight`, type, shape, values);
    if (!coded) return { values: tensor, scales: null };
    if (type !== "f8_e4m3") {
      return { values: tensor, scales: { factors: this.#groupFactors(type, shape), block: [1, 32] } };
    }
    const blocks = [...shape.slice(0, -2), Math.ceil(N / block[0]), Math.ceil(K / block[1])];
    return {
      values: tensor,
      scales: { factors: this.vector("factors", blocks, 0.004 / Math.sqrt(K), 0.008 / Math.sqrt(K)), block },
    };
  }

  /** For codes that are any: values of the size of the other types'. */
  #groupFactors(type: "q8" | "q4", shape: readonly number[]): Tensor {
    const K = shape.at(-1)!;
    const groups = [...shape.slice(0, -1), K / 32];
    const unit = 1 / Math.sqrt(K);
    if (type === "q8") {
      return this.#filled("factors", "f16", groups, this.#values(elements(groups), 0.01 * unit, 0.02 * unit));
    }
    const pairs = this.#values(2 * elements(groups), 0.1 * unit, 0.2 * unit).map((value, i) =>
      i % 2 ? -7 * value : value
    );
    return this.#filled("factors", "f16", [...groups, 2], pairs);
  }

  linear(type: WeightType, shape: readonly number[], bias = false): Linear {
    return { weight: this.weight(type, shape), bias: bias ? this.vector("bias", [shape.at(-2)!]) : null };
  }

  /** Cosines and sines [context, 2, half], of any angles. */
  rope(context: number, half: number): Tensor {
    const values = Array.from({ length: context * 2 * half }, (_, i) => {
      const [position, j] = [Math.floor(i / (2 * half)), i % half];
      const angle = position * 100 ** (-j / half);
      return i % (2 * half) < half ? Math.cos(angle) : Math.sin(angle);
    });
    return this.given("rope", [context, 2, half], values);
  }
}

/** A step that brings hidden rows of width `width`; segments as [slot, start, rows]. */
export function hiddenStep(
  width: number,
  segments: readonly (readonly [slot: number, start: number, rows: number])[],
  outputs: readonly number[] = [],
  seed = 1,
): StepInput {
  const next = random(seed);
  const rows = segments.reduce((sum, [, , count]) => sum + count, 0);
  return {
    segments: segments.map(([slot, start, count]) => ({ slot, start, rows: count })),
    outputs: Uint32Array.from(outputs),
    rows: Float32Array.from({ length: rows * width }, () => 2 * next()),
  };
}

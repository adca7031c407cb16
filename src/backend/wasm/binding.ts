/** From tensors, weights and decays to what the kernels read: pointers, and descriptors in linear memory. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import type { Memory, Ptr } from "../../../wasm/memory.ts";
import type { CacheBlock, LinearAttention } from "../backend.ts";
import { byteLength, type DataType, type Tensor, type Weight } from "../tensor.ts";

/** A tensor in linear memory. */
export class WasmTensor implements Tensor {
  constructor(
    readonly label: string,
    readonly dtype: DataType,
    readonly shape: readonly number[],
    readonly ptr: Ptr<"u8">,
  ) {}
}

/** A tensor's address. Throws TypeError for a tensor of another backend. */
export function pointer(tensor: Tensor): Ptr<"u8"> {
  if (tensor instanceof WasmTensor) return tensor.ptr;
  throw new TypeError(`Cannot use tensor '${tensor.label}' as the WASM backend did not make it`);
}

/** The address of an f32 tensor. */
export const f32 = (tensor: Tensor): Ptr<"f32"> => pointer(tensor) as number as Ptr<"f32">;

/** The address of a u32 tensor. */
export const u32 = (tensor: Tensor): Ptr<"u32"> => pointer(tensor) as number as Ptr<"u32">;

/** For an optional argument that is absent. */
export const NONE = 0 as Ptr<"f32">;

/** How kernels.h numbers the types of weights. */
export const TYPE_CODES: Readonly<Partial<Record<DataType, number>>> = {
  f32: 0,
  bf16: 1,
  f16: 2,
  f8_e4m3: 3,
  q8: 4,
  q4: 5,
};

/** Outputs and inputs of a weight. */
export function sides(weight: Weight): readonly [N: number, K: number] {
  return weight.values.shape.slice(-2) as [number, number];
}

/** A weight as the eight words that kernels.h calls a matrix. Throws RangeError for a width that kernels cannot read. */
export function matrixWords(weight: Weight, bias: Tensor | null): number[] {
  const { values, scales } = weight;
  const [N, K] = sides(weight);
  if (K % 4 !== 0) throw new RangeError(`Cannot multiply by '${values.label}' as its rows have ${K} values: not of 4`);
  const code = TYPE_CODES[values.dtype];
  if (code === undefined) throw new RangeError(`Cannot multiply by '${values.label}' as it is of type ${values.dtype}`);
  const [rows, columns] = scales?.block ?? [1, K];
  if (columns % 4 !== 0) {
    throw new RangeError(`Cannot scale '${values.label}' in blocks of ${columns} columns: not of 4`);
  }
  const words = [pointer(values), code, N, K];
  return [
    ...words,
    bias === null ? NONE : pointer(bias),
    scales === null ? NONE : pointer(scales.factors),
    rows,
    columns,
  ];
}

/** Tokens that linear attention takes at once; CHUNK of kernels_linear_attention.h. */
const CHUNK = 32;

/** exp(g i) and 1 - exp(g i) of every head, i = 0 … CHUNK: [heads, 2, CHUNK + 1] */
export function decayTable(how: LinearAttention): number[] {
  const powers = Array.from({ length: CHUNK + 1 }, (_, i) => i);
  return how.logDecay.flatMap((g) => [...powers.map((i) => Math.exp(g * i)), ...powers.map((i) => -Math.expm1(g * i))]);
}

/** Where the keys and the values of every page begin: [pages, 2] */
function placesOf(blocks: readonly CacheBlock[]): number[] {
  return blocks.flatMap(({ keys, values }) => {
    const count = keys.shape[0]!;
    const bytes = byteLength(keys) / count;
    return Array.from({ length: count }, (_, i) => [pointer(keys) + i * bytes, pointer(values) + i * bytes]).flat();
  });
}

/** Descriptors made once for each weight, whatever the number of plans that use it. */
export class Bindings {
  readonly #memory: Memory<KernelsExports>;
  readonly #matrices = new Map<Weight | Tensor, Ptr<"u32">>();
  readonly #caches = new Map<Tensor, Ptr<"u32">>();
  readonly #decays = new Map<LinearAttention, Ptr<"f32">>();

  constructor(memory: Memory<KernelsExports>) {
    this.#memory = memory;
  }

  matrix(weight: Weight, bias: Tensor | null = null): Ptr<"u32"> {
    const key = bias ?? weight; // a bias belongs to one weight
    const ptr = this.#matrices.get(key) ?? this.#memory.copy("u32", matrixWords(weight, bias));
    this.#matrices.set(key, ptr);
    return ptr;
  }

  /** A layer's cache as the four words that kernels.h calls a cache; made anew when it has got another block. */
  cache(blocks: readonly CacheBlock[]): Ptr<"u32"> {
    const { keys } = blocks.at(-1)!;
    const known = this.#caches.get(keys);
    if (known !== undefined) return known;
    const places = this.#memory.copy("u32", placesOf(blocks));
    const [size, width] = keys.shape.slice(-2) as [number, number];
    const ptr = this.#memory.copy("u32", [places, size, width, Number(keys.dtype === "f16")]);
    this.#caches.set(keys, ptr);
    return ptr;
  }

  decays(how: LinearAttention): Ptr<"f32"> {
    const ptr = this.#decays.get(how) ?? this.#memory.copy("f32", decayTable(how));
    this.#decays.set(how, ptr);
    return ptr;
  }
}

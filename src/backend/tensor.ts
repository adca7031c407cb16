/** Tensors: an element type and a row-major shape; where the bytes lie is the backend's own business. */

/**
 * Element types of weights. Kernels widen them to f32 where they use them. The last two are codes in groups of 32 along
 * a row, whose factors lie in a tensor of their own: q8 is a signed byte, q4 half a byte, eight to a u32, the first one
 * lowest.
 */
export type WeightType = "f32" | "bf16" | "f16" | "f8_e4m3" | "q8" | "q4";

/** Element types of tensors. Activations and state are f32, indices u32. */
export type DataType = WeightType | "u32";

/** Bytes of one element. */
export const ELEMENT_BYTES: Readonly<Record<DataType, number>> = {
  ...{ f32: 4, u32: 4, bf16: 2, f16: 2, f8_e4m3: 1 },
  ...{ q8: 1, q4: 0.5 },
};

/** What a tensor holds, and what messages call it. */
export interface TensorShape {
  readonly label: string;
  readonly dtype: DataType;
  /** Row-major. */
  readonly shape: readonly number[];
}

/** A tensor of some backend. Only the backend that made it can use it. */
export type Tensor = TensorShape;

/** Rows and columns of the weights that share one factor. */
export type Block = readonly [rows: number, columns: number];

/**
 * A matrix, or a stack of equal matrices, `[…, N, K]` with K a multiple of 4, applied as `x @ W^T`. With `scales` a value
 * is its code times its block's factor. What the factors are depends on the values' type:
 * - f8_e4m3: f32 `[…, ceil(N / block[0]), ceil(K / block[1])]` (spec d.1)
 * - q8: f16 `[…, N, K / 32]`, block [1, 32]; 8.5 bits a value
 * - q4: f16 `[…, N, K / 32, 2]`, block [1, 32], a scale and a minimum that is added to the product; 5 bits a value
 */
export interface Weight {
  readonly values: Tensor;
  readonly scales: { readonly factors: Tensor; readonly block: Block } | null;
}

/** Elements of a shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes of one index of a tensor's first axis. */
export function sliceBytes({ shape, dtype }: Tensor): number {
  return elements(shape.slice(1)) * ELEMENT_BYTES[dtype];
}

/** Bytes of a tensor, without padding. */
export function byteLength(tensor: TensorShape): number {
  return elements(tensor.shape) * ELEMENT_BYTES[tensor.dtype];
}

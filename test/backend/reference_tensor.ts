/** Tensors and weights of the reference: whatever their type, numbers in float64. */
import { type DataType, elements, type Tensor, type Weight } from "../../src/backend/tensor.ts";

export class ReferenceTensor implements Tensor {
  readonly data: Float64Array;
  constructor(readonly label: string, readonly dtype: DataType, readonly shape: readonly number[]) {
    this.data = new Float64Array(elements(shape));
  }
}

export const data = (tensor: Tensor): Float64Array => (tensor as ReferenceTensor).data;
export const last = (tensor: Tensor): number => tensor.shape.at(-1)!;
export const rowOf = (tensor: Tensor, row: number): Float64Array =>
  data(tensor).subarray(row * last(tensor), (row + 1) * last(tensor));

/** W[matrix][n][k] with its block's factor, and its minimum where there is one. */
export function weightAt(weight: Weight, matrix: number, n: number, k: number): number {
  const [N, K] = weight.values.shape.slice(-2) as [number, number];
  const code = data(weight.values)[(matrix * N + n) * K + k]!;
  if (weight.scales === null) return code;
  const [rows, columns] = weight.scales.block;
  const blocks = [Math.ceil(N / rows), Math.ceil(K / columns)] as const;
  const block = (matrix * blocks[0] + Math.floor(n / rows)) * blocks[1] + Math.floor(k / columns);
  const factors = data(weight.scales.factors);
  return weight.values.dtype === "q4" ? code * factors[2 * block]! + factors[2 * block + 1]! : code * factors[block]!;
}

/** x @ W[matrix]^T for one row. */
export function apply(weight: Weight, x: Float64Array, matrix = 0): Float64Array {
  const [N, K] = weight.values.shape.slice(-2) as [number, number];
  return Float64Array.from({ length: N }, (_, n) => {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += x[k]! * weightAt(weight, matrix, n, k);
    return sum;
  });
}

const E4M3 = (code: number): number => {
  const [exponent, mantissa] = [(code >> 3) & 15, code & 7];
  const magnitude = exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7);
  return code & 0x80 ? -magnitude : magnitude;
};

/** `bytes` as numbers; the buffer may start anywhere. */
export function decode(dtype: DataType, bytes: Uint8Array): ArrayLike<number> {
  const { buffer } = bytes.slice();
  if (dtype === "f32") return new Float32Array(buffer);
  if (dtype === "u32") return new Uint32Array(buffer);
  if (dtype === "f16") return new Float16Array(buffer);
  if (dtype === "f8_e4m3") return Array.from(bytes, E4M3);
  if (dtype === "q8") return new Int8Array(buffer);
  if (dtype === "q4") return Array.from(bytes).flatMap((pair) => [pair & 15, pair >> 4]);
  return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (code) => code << 16).buffer);
}

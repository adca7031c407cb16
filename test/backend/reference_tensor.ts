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

const matrices = new WeakMap<Weight, Map<number, Float64Array>>();

/** W[matrix], [N, K], made once: no case writes its weights again. */
function matrixOf(weight: Weight, matrix: number): Float64Array {
  const known = matrices.get(weight) ?? new Map<number, Float64Array>();
  matrices.set(weight, known);
  const [N, K] = weight.values.shape.slice(-2) as [number, number];
  const made = known.get(matrix) ??
    new Float64Array(N * K).map((_, i) => weightAt(weight, matrix, Math.floor(i / K), i % K));
  known.set(matrix, made);
  return made;
}

/** x @ W[matrix]^T for one row. */
export function apply(weight: Weight, x: Float64Array, matrix = 0): Float64Array {
  const [N, K] = weight.values.shape.slice(-2) as [number, number];
  const W = matrixOf(weight, matrix);
  return new Float64Array(N).map((_, n) => {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += x[k]! * W[n * K + k]!;
    return sum;
  });
}

/** The number of each code. */
const E4M3 = Float32Array.from({ length: 256 }, (_, code) => {
  const [exponent, mantissa] = [(code >> 3) & 15, code & 7];
  const magnitude = exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7);
  return code & 0x80 ? -magnitude : magnitude;
});

/** `bytes` as numbers; the buffer may start anywhere. */
export function decode(dtype: DataType, bytes: Uint8Array): ArrayLike<number> {
  const { buffer } = bytes.slice();
  if (dtype === "f32") return new Float32Array(buffer);
  if (dtype === "u32") return new Uint32Array(buffer);
  if (dtype === "f16") return new Float16Array(buffer);
  if (dtype === "f8_e4m3") return new Float32Array(bytes).map((code) => E4M3[code]!);
  if (dtype === "q8") return new Int8Array(buffer);
  if (dtype === "q4") return new Uint8Array(2 * bytes.length).map((_, i) => bytes[i >> 1]! >> 4 * (i & 1) & 15);
  return new Float32Array(new Uint32Array(new Uint16Array(buffer)).map((code) => code << 16).buffer);
}

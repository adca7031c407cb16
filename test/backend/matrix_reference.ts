/** The reference for matrix units: products of what is rounded to f16, in float64. */
import type { Weight } from "../../src/backend/tensor.ts";
import { apply, weightAt } from "./reference_tensor.ts";

/** Where kernels for matrix units scale a row's largest magnitude to. */
const TOP = 14;

/** As shaders/halve_rows.wgsl leaves a row. */
function halved(x: Float64Array): Float64Array {
  const largest = x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest === 0) return x;
  const scale = 2 ** (Math.floor(Math.log2(largest)) - TOP);
  return x.map((value) => Math.f16round(value / scale) * scale);
}

const rounded = new WeakMap<Weight, Map<number, Float64Array>>();

function halvedMatrix(weight: Weight, matrix: number): Float64Array {
  const known = rounded.get(weight) ?? new Map<number, Float64Array>();
  rounded.set(weight, known);
  const [N, K] = weight.values.shape.slice(-2) as [number, number];
  const made = known.get(matrix) ??
    new Float64Array(N * K).map((_, i) => Math.f16round(weightAt(weight, matrix, Math.floor(i / K), i % K)));
  known.set(matrix, made);
  return made;
}

/** x @ W[matrix]^T for one row, as matrix units have it; exact where kernels leave them alone. */
export function halvedProduct(weight: Weight, x: Float64Array, matrix = 0): Float64Array {
  const { shape } = weight.values;
  const [N, K] = shape.slice(-2) as [number, number];
  if (K % 8 !== 0 || shape.length > 2 && N % 8 !== 0) return apply(weight, x, matrix);
  const [W, row] = [halvedMatrix(weight, matrix), halved(x)];
  return new Float64Array(N).map((_, n) => {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += row[k]! * W[n * K + k]!;
    return sum;
  });
}

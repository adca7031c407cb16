/** Products with few rows: a workgroup for every four outputs, with the norm of its input on the way. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Linear, Norm } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import type { Device } from "./device.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";

const MAX_LANES = 256;

/**
 * Threads that share out the `columns` of a tile's sums, where a row has so many `tiles`: as many as keep enough reads in
 * flight for the memory's full rate, which is measured for each device.
 */
export function lanesFor({ lanes, software, kernels }: Device, tiles: number, columns: number): number {
  if (software) return lanes; // a processor has few threads, and each barrier costs
  const wanted = Math.min(MAX_LANES, columns, kernels.threads / tiles);
  return Math.max(lanes, 2 ** Math.floor(Math.log2(wanted)));
}

/** Divides each of `groups` pieces of a row by its root mean square, then turns it down by a gate (spec c.7). */
export interface GatedNorm {
  readonly norm: Norm;
  readonly gate: Tensor;
  readonly groups: number;
}

interface ProductOptions {
  readonly add?: boolean;
  readonly rows?: "rows" | "outputs";
  /** What the input goes through first. */
  readonly norm?: Norm | null;
  readonly gated?: GatedNorm | null;
}

/** out = y @ W^T + b, or added to out, y being x or its norm: out[T, N], x[T, K], W[N, K] */
export function decodeProduct(
  recording: Recording,
  out: Tensor | GPUBuffer,
  x: Tensor,
  { weight, bias }: Linear,
  { add = false, rows = "rows", norm = null, gated = null }: ProductOptions,
): void {
  const { capacity, device, memory: { nothing } } = recording;
  const [outputs, width] = weight.values.shape as [number, number];
  const { factors, constants } = scaling(recording, weight);
  const ROWS = capacity[rows] === 1 ? 1 : 4;
  const used = gated?.norm ?? norm;
  for (const { buffer, first, count } of own(weight.values).parts) {
    recording.dispatch(
      SHADERS.decodeProduct,
      {
        constants: {
          ...constants,
          ...{ LANES: lanesFor(device, Math.ceil(outputs / 4), width / 4), ROWS, GROUPS: gated?.groups ?? 1 },
          ...{ NORM: norm !== null, GATED: gated !== null, OUTPUTS: rows === "outputs" },
          ...{ BIAS: bias !== null, ADD: add },
        },
        weight: weightType(weight),
        workgroups: (counts) => Math.ceil(counts[rows] / ROWS) * Math.ceil(count / 4),
      },
      {
        x: whole(x),
        norm: used === null ? nothing : whole(used.weight),
        gate: gated === null ? nothing : whole(gated.gate),
        weight: buffer,
        factors,
        bias: bias === null ? nothing : whole(bias),
        out: out instanceof GPUBuffer ? out : whole(out),
      },
      { columns: width / 4, outputs, first, count, epsilon: used?.eps ?? 0 },
    );
  }
}

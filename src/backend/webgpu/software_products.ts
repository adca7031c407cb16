/** Products with few rows on a CPU: lanes share out the columns, keep their strips of the input and go through the weight row by row. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Linear } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import type { ProductOptions } from "./decode_products.ts";
import type { Device } from "./device.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";

/** Columns that a lane takes at once (shaders/lib/strip.wgsl). */
export const STRIP = 16;

/** Outputs of a workgroup: few where several threads share out workgroups, many where each costs one thread the same preparation. */
const SHARE = { parallel: 128, serial: 512 } as const;

/** Strips of a row that a workgroup holds at once. */
const CHUNK = 16;

/** Threads of a workgroup that the kernels add up across. */
const LANES = 8;

/** Buffers that a kernel for CPUs binds at most. */
const BUFFERS = 14;

/** Whether a device computes on the CPU and has what its kernels need: a workgroup of `lanes` threads must be one subgroup. */
export function computesByStrips({ gpu, software, subgroups, wideIntegers, minSubgroup, lanes }: Device): boolean {
  return software && subgroups && wideIntegers && minSubgroup === LANES && lanes === LANES &&
    gpu.limits.maxStorageBuffersPerShaderStage >= BUFFERS;
}

/** Whether a device does, and rows of these weights (and of each of `groups` norms of their input) are whole strips. */
export function byStrips({ device }: Recording, weights: readonly Weight[], groups = 1): boolean {
  return computesByStrips(device) &&
    weights.every(({ values, scales }) =>
      values.shape.at(-1)! % (STRIP * groups) === 0 && (scales === null || scales.block[1] % STRIP === 0)
    );
}

/** As decodeProduct() does it; beside it the product of another weight, stored alike and in one part, without bias. */
export function softwareProduct(
  recording: Recording,
  out: Tensor | GPUBuffer,
  x: Tensor,
  { weight, bias }: Linear,
  { add = false, rows = "rows", norm = null, gated = null }: ProductOptions,
  other: { readonly out: Tensor; readonly weight: Weight } | null = null,
): void {
  const { capacity, device, memory: { nothing } } = recording;
  const [outputs, width] = weight.values.shape as [number, number];
  const { factors, constants } = scaling(recording, weight);
  const ROWS = capacity[rows] === 1 ? 1 : 4;
  const share = SHARE[device.serial ? "serial" : "parallel"];
  const strips = width / STRIP;
  const used = gated?.norm ?? norm;
  const otherOutputs = other?.weight.values.shape[0] ?? 0;
  for (const { buffer, first, count } of own(weight.values).parts) {
    recording.dispatch(
      SHADERS.softwareProduct,
      {
        constants: {
          ...constants,
          ...{
            ROWS,
            SHARE: share,
            KEPT: strips > CHUNK ? ROWS * share : 1,
            STRIPS: strips,
            GROUPS: gated?.groups ?? 1,
          },
          ...{ NORM: norm !== null, GATED: gated !== null },
          ...{ OUTPUTS: rows === "outputs", BIAS: bias !== null, ADD: add, PAIR: other !== null },
        },
        weight: weightType(weight),
        workgroups: (counts) =>
          Math.ceil(counts[rows] / ROWS) *
          (Math.ceil(count / share) + Math.ceil(otherOutputs / share)),
      },
      {
        x: whole(x),
        norm: used === null ? nothing : whole(used.weight),
        gate: gated === null ? nothing : whole(gated.gate),
        weight: buffer,
        factors,
        bias: bias === null ? nothing : whole(bias),
        out: "dtype" in out ? whole(out) : out,
        other_weight: other === null ? nothing : whole(other.weight.values, other.weight.values.dtype),
        other_factors: other === null ? nothing : scaling(recording, other.weight).factors,
        other_out: other === null ? recording.scratch("no other product", 1) : whole(other.out),
      },
      { outputs, other_outputs: otherOutputs, first, count, epsilon: used?.eps ?? 0 },
    );
  }
}

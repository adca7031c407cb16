/** Matrix units: products of small matrices of f16 that a subgroup computes at once. */
import type { Constants } from "../../../shaders/mod.ts";

/** Dawn's name of the feature. */
export const MATRIX_FEATURE = "chromium-experimental-subgroup-matrix";

/** What kernels that use them begin with, behind the device's own lines. */
export const MATRIX_ENABLES = [
  "enable f16;",
  "enable subgroups;",
  "enable chromium_experimental_subgroup_matrix;",
] as const;

/** Storage buffers that their kernels bind at most, and workgroup memory that they need at least. */
const BUFFERS = 9;
const WORKGROUP_BYTES = 32 * 1024;

/** M × K by K × N into sums in f32, by a subgroup of so many threads. */
export interface Matrices {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly subgroup: number;
}

/** As Dawn tells of them. */
interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

const NEEDED = ["subgroups", "shader-f16", MATRIX_FEATURE] as readonly string[] as GPUFeatureName[];

/**
 * Those of a device that was opened with the feature, as its adapter describes them, if all of its subgroups are of one size: kernels share
 * out tiles among them.
 */
export function matricesOf({ features, limits }: GPUDevice, info: GPUAdapterInfo): Matrices | null {
  const { subgroupMinSize, subgroupMaxSize } = info;
  if (!NEEDED.every((feature) => features.has(feature)) || subgroupMinSize !== subgroupMaxSize) return null;
  if (limits.maxStorageBuffersPerShaderStage < BUFFERS) return null;
  if (limits.maxComputeWorkgroupStorageSize < WORKGROUP_BYTES) return null;
  const { subgroupMatrixConfigs = [] } = info as { readonly subgroupMatrixConfigs?: Iterable<MatrixConfig> };
  for (const { componentType, resultComponentType, M, N, K } of subgroupMatrixConfigs) {
    if (componentType === "f16" && resultComponentType === "f32" && K % 8 === 0) {
      return { m: M, n: N, k: K, subgroup: subgroupMinSize };
    }
  }
  return null;
}

/** For shaders/lib/matrices.wgsl. */
export const matrixConstants = ({ m, n, k }: Matrices): Constants => ({ MATRIX_M: m, MATRIX_N: n, MATRIX_K: k });

/** Bytes of workgroup memory for tiles, beside what kernels keep there of rows and counts. */
export const tileBytes = ({ limits }: GPUDevice): number => limits.maxComputeWorkgroupStorageSize - 1024;

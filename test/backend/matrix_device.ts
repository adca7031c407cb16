/** Devices with matrix units for tests, software ones included, of Dawn's; skipped with a reason where there are none. */
import { readLimits } from "../../src/backend/webgpu/adapters.ts";
import { findDawn } from "../../src/backend/webgpu/dawn/find.ts";
import { MATRIX_FEATURE } from "../../src/backend/webgpu/matrices.ts";
import { openProvider } from "../../src/backend/webgpu/provider.ts";

const FEATURES = ["subgroups", "shader-f16", MATRIX_FEATURE] as readonly string[] as readonly GPUFeatureName[];

const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
];

const adapter = findDawn() === null ? null : await openProvider("dawn").adapter();

/** Why nothing can be tested here, or null. */
function missing(): string | null {
  if (findDawn() === null) return "there is no Dawn (RINGLET_DAWN may name its dawn.node)";
  if (adapter === null) return "Dawn finds no adapter: its software Vulkan must be Mesa 25 at least";
  return FEATURES.every((feature) => adapter.features.has(feature))
    ? null
    : "the adapter has no matrix units; of the software ones Mesa's llvmpipe has, from 26 on";
}

/** A device with matrix units. */
export async function matrixDevice(): Promise<GPUDevice> {
  const adapter = (await openProvider("dawn").adapter())!;
  const limits = readLimits(adapter.limits);
  return await adapter.requestDevice({
    requiredFeatures: [...FEATURES],
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]!])),
  });
}

/** Declares a test that needs matrix units. Its name says why it is skipped. */
export function testOnMatrices(name: string, fn: () => Promise<void>): void {
  const reason = missing();
  Deno.test({ name: reason === null ? name : `${name} (skipped: ${reason})`, ignore: reason !== null, fn });
}

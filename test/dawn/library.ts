/** Dawn for tests, which are skipped with a reason where it is not, or has no adapter. */
import { isSoftware, readLimits } from "../../src/backend/webgpu/adapters.ts";
import { openProvider } from "../../src/backend/webgpu/provider.ts";

const provider = openProvider("dawn");

const adapter = await provider.adapter().catch((error: Error) => error.message);

const MISSING = adapter === null
  ? "Dawn has no adapter here; Mesa's software Vulkan is one from 24 on"
  : typeof adapter === "string"
  ? adapter
  : null;

/** Declares a test that needs Dawn and an adapter, software ones included, and nothing that is `missing`. */
export function testOnDawn(name: string, fn: () => Promise<void>, missing: string | null = null): void {
  const reason = MISSING ?? missing;
  Deno.test({ name: reason === null ? name : `${name} (skipped: ${reason})`, ignore: reason !== null, fn });
}

/** Whether the adapter computes on the CPU. */
export const SOFTWARE = adapter !== null && typeof adapter !== "string" && isSoftware(adapter.info);

/** A new device with these features, and its limits as large as they can be. */
export async function dawnDevice(features: readonly string[] = []): Promise<GPUDevice> {
  const adapter = (await provider.adapter())!;
  const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = readLimits(adapter.limits);
  return await adapter.requestDevice({
    requiredFeatures: features as GPUFeatureName[],
    requiredLimits: {
      maxBufferSize: maxBufferSize!,
      maxStorageBufferBindingSize: maxStorageBufferBindingSize!,
      maxStorageBuffersPerShaderStage: maxStorageBuffersPerShaderStage!,
    },
  });
}

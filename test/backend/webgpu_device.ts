/** GPU devices for tests: with and without features, skipped with a reason where there is no adapter. */
import { isSoftware, readLimits } from "../../src/backend/webgpu/adapters.ts";
import { WIDE_INTEGERS } from "../../src/backend/webgpu/device.ts";
import { openProvider } from "../../src/backend/webgpu/provider.ts";

// On any computer, that there be software Vulkan whose workgroups follow each other: it has kernels of its own. Others are chosen for
// weights of several types. `deno task test` says so before any file does, as they run beside each other in one process.
if (!Deno.env.has("LP_NUM_THREADS")) Deno.env.set("LP_NUM_THREADS", "0");

const adapter = await openProvider("deno").adapter();

const MISSING = adapter
  ? null
  : "there is no WebGPU adapter; on Debian, apt-get install mesa-vulkan-drivers gives a software one";

/** Declares a test that needs a GPU, software ones included, and nothing that is `missing`. Its name says why it is skipped. */
export function testOnGpu(name: string, fn: () => Promise<void>, missing: string | null = null): void {
  const reason = MISSING ?? missing;
  Deno.test({ name: reason === null ? name : `${name} (skipped: ${reason})`, ignore: reason !== null, fn });
}

/** Limits that every case needs raised, and those that choose among kernels: the plain device leaves them as low as WebGPU allows. */
const LARGE = ["maxBufferSize", "maxStorageBufferBindingSize"];
const RAISED = [...LARGE, "maxStorageBuffersPerShaderStage", "maxComputeWorkgroupStorageSize"];

/** The limits that a device with these features is opened with, as large as its adapter has them. */
export function raisedLimits(features: readonly string[]): readonly string[] {
  return features.length > 0 ? RAISED : LARGE;
}

/** Whether the adapter grants subgroups, which it may hide among its features. */
const subgroups = await request(["subgroups"]).then((device) => device?.destroy() !== null, () => false);

/** A new device; the features are granted or it is refused. One without features has WebGPU's usual limits, too. */
async function request(features: readonly string[]): Promise<GPUDevice> {
  const adapter = await openProvider("deno").adapter();
  if (!adapter) throw new Error("there is no adapter");
  const limits = readLimits(adapter.limits);
  return await adapter.requestDevice({
    requiredFeatures: features as GPUFeatureName[],
    requiredLimits: Object.fromEntries(raisedLimits(features).map((name) => [name, limits[name]!])),
  });
}

/** What the kernels for CPUs need besides a CPU. */
const FOR_CPUS = ["subgroups", WIDE_INTEGERS];

const forCpus = await request(FOR_CPUS).then((device) => {
  const { adapterInfo } = device;
  device.destroy();
  return isSoftware(adapterInfo);
}, () => false);

/** The kinds of device that choose different kernels, or different parts of one. */
export const VARIANTS = [
  { name: "for CPUs", features: FOR_CPUS, missing: forCpus ? null : "the adapter is no CPU with subgroups and u64" },
  { name: "with subgroups", features: ["subgroups"], missing: subgroups ? null : "the adapter grants no subgroups" },
  { name: "without subgroups", features: [], missing: null },
] as const;

/** A device of one variant. */
export function deviceOf(features: readonly string[]): Promise<GPUDevice> {
  return request(features);
}

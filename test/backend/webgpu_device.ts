/** GPU devices for tests, with and without features. */
import { isSoftware, readLimits } from "../../src/backend/webgpu/adapters.ts";
import { WIDE_INTEGERS } from "../../src/backend/webgpu/device.ts";
import { openProvider } from "../../src/backend/webgpu/provider.ts";
import type { GpuProvider } from "../../src/pipeline/messages.ts";
import { GPU } from "../gpu.ts";
import { SharedDevice } from "./shared_device.ts";

/** Limits that every case needs raised, and those that choose among kernels: the plain device leaves them as low as WebGPU allows. */
const LARGE = ["maxBufferSize", "maxStorageBufferBindingSize"];
const RAISED = [...LARGE, "maxStorageBuffersPerShaderStage", "maxComputeWorkgroupStorageSize"];

/** A new device; the features are granted or it is refused. One without features has WebGPU's usual limits, too. */
export async function deviceOf(features: readonly string[], provider: GpuProvider = GPU): Promise<GPUDevice> {
  const adapter = await openProvider(provider).adapter();
  if (!adapter) throw new Error("there is no adapter");
  const limits = readLimits(adapter.limits);
  const raised = features.length > 0 ? RAISED : LARGE;
  return await adapter.requestDevice({
    requiredFeatures: features as GPUFeatureName[],
    requiredLimits: Object.fromEntries(raised.map((name) => [name, limits[name]!])),
  });
}

/** Whether the adapter grants subgroups, which it may hide among its features. */
const subgroups = await deviceOf(["subgroups"]).then((device) => device?.destroy() !== null, () => false);

/** What the kernels for CPUs need besides a CPU. */
const FOR_CPUS = ["subgroups", WIDE_INTEGERS];

const forCpus = await deviceOf(FOR_CPUS).then((device) => {
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

const shared = new Map<string, Promise<SharedDevice>>();
Deno.test.afterAll(async () => {
  for (const device of shared.values()) (await device)[Symbol.dispose]();
});

/**
 * A device of one variant whose kernels are compiled once for all tests of a file. Those for CPUs have subgroups: they do for that variant
 * as well, which sees fewer features of them.
 */
export async function viewOf(features: readonly string[], provider: GpuProvider = GPU): Promise<GPUDevice> {
  const granted = features.length > 0 && forCpus ? FOR_CPUS : features;
  const key = [provider, ...granted].join();
  const device = shared.get(key) ?? deviceOf(granted, provider).then((device) => new SharedDevice(device));
  shared.set(key, device);
  return (await device).view(undefined, new Set(features as GPUFeatureName[]));
}

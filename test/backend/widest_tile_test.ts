/** The widest tile of batch products: only where a device has the threads and the workgroup memory, which WebGPU's implementations do not all check. */
import { strict as assert } from "node:assert";
import type { WeightType } from "../../src/backend/tensor.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { CaseMaker } from "./case_maker.ts";
import { GPU, testOnGpu } from "../gpu.ts";
import { deviceOf, VARIANTS } from "./webgpu_device.ts";

const { features, missing } = VARIANTS.find(({ name }) => name === "with subgroups")!;
const KIB = 1024;

/** Threads of the kernel that a device of these limits gets for gate and up of 16 rows. */
async function threads(type: WeightType, maxComputeInvocationsPerWorkgroup: number, bytes: number): Promise<number> {
  const device = await deviceOf(features);
  using backend = await WebGpuBackend.open({ gpu: GPU, device });
  const make = new CaseMaker(backend, 1);
  const [hidden, norm, out] = [make.empty("hidden", [16, 64]), make.norm(64), make.empty("out", [16, 32])];
  const [gate, up] = [make.weight(type, [32, 64], [32, 64]), make.weight(type, [32, 64], [32, 64])];
  await make.written();
  const { maxStorageBuffersPerShaderStage } = device.limits;
  const limits = { maxStorageBuffersPerShaderStage, maxComputeInvocationsPerWorkgroup };
  Object.defineProperty(device, "limits", { value: { ...limits, maxComputeWorkgroupStorageSize: bytes } });
  let found = 0;
  const create = device.createShaderModule;
  device.createShaderModule = (descriptor) => {
    found = Number(/const LANES = (\d+)u?;/.exec(descriptor.code)?.[1] ?? found);
    return create.call(device, descriptor);
  };
  backend.record({ rows: 16, segments: 1, outputs: 0 }, (ops) => ops.gateUp(out, hidden, norm, gate, up));
  return found;
}

testOnGpu("few workgroups of a tile have 512 threads only where these and their memory are there", async () => {
  assert.equal(await threads("bf16", 1024, 48 * KIB), 512);
  assert.equal(await threads("f32", 1024, 48 * KIB), 256, "f32 waits in twice the memory");
  assert.equal(await threads("q8", 1024, 48 * KIB), 256, "and so do values with factors");
  assert.equal(await threads("f32", 1024, 64 * KIB), 512);
  assert.equal(await threads("bf16", 256, 48 * KIB), 256);
  assert.equal(await threads("bf16", 1024, 32 * KIB), 256);
}, missing);

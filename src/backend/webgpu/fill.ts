/** Random values for a tensor, made where it lies: a full-size model takes a second. */
import { TOOLS } from "../../../shaders/mod.ts";
import type { RandomValues } from "../backend.ts";
import type { Device } from "./device.ts";
import { type Kernels, setKernel } from "./kernel.ts";
import type { GpuTensor } from "./memory.ts";

/** As the shader counts them. */
const TYPES: Readonly<Record<string, number>> = { f32: 0, bf16: 1, f16: 2, f8_e4m3: 3, q8: 4, q4: 5 };

/** Bytes that a workgroup of 256 writes. */
const GROUP_BYTES = 16 * 256;

/** Throws TypeError for indices. */
export function fill({ gpu }: Device, kernels: Kernels, tensor: GpuTensor, values: RandomValues): void {
  if (tensor.dtype === "u32") throw new TypeError(`Cannot fill ${tensor.label}: it holds indices`);
  const kernel = kernels.get(TOOLS.fill, { TYPE: TYPES[tensor.dtype]! });
  const most = gpu.limits.maxComputeWorkgroupsPerDimension;
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (const { buffer, first } of tensor.parts) {
    const params = { ...values, first: Math.floor(first * tensor.rowBytes / 4), count: buffer.size / 16 };
    const bound = kernel.bind({ out: buffer }, params);
    const groups = Math.ceil(buffer.size / GROUP_BYTES);
    setKernel(pass, bound);
    pass.dispatchWorkgroups(Math.min(groups, most), Math.ceil(groups / most));
  }
  pass.end();
  gpu.queue.submit([encoder.finish()]);
}

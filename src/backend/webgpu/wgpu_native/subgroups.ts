/** How many threads the subgroups of a device have, which the library does not tell. */
import type { WgpuDevice } from "./device.ts";

export interface SubgroupSizes {
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
}

/** PCI vendors whose compilers choose a size for each shader: one measurement does not tell the others. */
const CHOOSING: ReadonlyMap<number, readonly [least: number, most: number]> = new Map([
  [0x1002, [32, 64]], // AMD
  [0x8086, [8, 32]], // Intel
]);

const SHADER = `
@group(0) @binding(0) var<storage, read_write> sizes: array<u32, 128>;
@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) i: u32, @builtin(subgroup_size) size: u32) { sizes[i] = size; }
`;

const BYTES = 4 * 128;

/** Asks a shader. The device must have the feature "subgroups". */
export function measureSubgroups(device: WgpuDevice, vendor: number): SubgroupSizes {
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const sizes = device.createBuffer({ size: BYTES, usage: STORAGE | COPY_SRC });
  const target = device.createBuffer({ size: BYTES, usage: COPY_DST | MAP_READ });
  const module = device.createShaderModule({ code: SHADER });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
  const entries = [{ binding: 0, resource: { buffer: sizes } }];
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(sizes, target);
  device.queue.submit([encoder.finish()]);
  const measured = new Uint32Array(target.readSync());
  const [least, most] = CHOOSING.get(vendor) ?? [Infinity, 0];
  return { subgroupMinSize: Math.min(least, ...measured), subgroupMaxSize: Math.max(most, ...measured) };
}

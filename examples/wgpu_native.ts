/** Adds two vectors on a GPU: `deno run -A examples/wgpu_native.ts`. */
import { WgpuNative } from "@ringlet/ringlet/wgpu-native";

using gpu = new WgpuNative(); // finds the library; gpu.adapters() lists all GPUs
const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
if (adapter === null) throw new Error("There is no GPU");
using device = await adapter.requestDevice(); // frees all that is made of it

const a = Float32Array.from({ length: 1000 }, (_, i) => i);
const b = a.map((value) => value * 10);
const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
const [left, right] = [a, b].map((vector) => {
  const buffer = device.createBuffer({ size: vector.byteLength, usage: STORAGE | COPY_SRC | COPY_DST });
  device.queue.writeBuffer(buffer, 0, vector);
  return buffer;
});
const code = `@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> b: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&b)) { b[id.x] += a[id.x]; }
}`;
const pipeline = device.createComputePipeline({
  layout: "auto",
  compute: { module: device.createShaderModule({ code }) },
});
const entries = [left!, right!].map((buffer, binding) => ({ binding, resource: { buffer } }));
const encoder = device.createCommandEncoder();
const pass = encoder.beginComputePass();
pass.setPipeline(pipeline);
pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
pass.dispatchWorkgroups(Math.ceil(a.length / 64));
pass.end();
const result = device.createBuffer({ size: b.byteLength, usage: COPY_DST | MAP_READ });
encoder.copyBufferToBuffer(right!, result);
device.queue.submit([encoder.finish()]);
// Waits here; `await result.mapAsync(GPUMapMode.READ)` lets others run meanwhile.
const sums = new Float32Array(result.readSync());
// deno-lint-ignore no-console -- it is an example
console.log(sums.slice(0, 4), sums.at(-1));

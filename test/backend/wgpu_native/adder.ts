/** A device with two vectors and a kernel that adds the one to the other. */
import type { WgpuBuffer, WgpuDevice, WgpuNative } from "../../../src/backend/webgpu/wgpu_native/mod.ts";

const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;

const SHADER = `
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> sum: array<f32>;
@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3u) { sum[id.x] += a[id.x]; }
`;

/** Of four numbers, which begin at 0. */
export class Adder {
  readonly device: WgpuDevice;
  readonly a: WgpuBuffer;
  readonly sum: WgpuBuffer;
  readonly target: WgpuBuffer;
  readonly module: GPUShaderModule;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;

  constructor(device: WgpuDevice) {
    this.device = device;
    this.a = device.createBuffer({ label: "a", size: 16, usage: STORAGE | COPY_DST });
    this.sum = device.createBuffer({ label: "sum", size: 16, usage: STORAGE | COPY_DST | COPY_SRC });
    this.target = device.createBuffer({ label: "target", size: 16, usage: COPY_DST | MAP_READ });
    this.module = device.createShaderModule({ code: SHADER });
    this.pipeline = device.createComputePipeline({ layout: "auto", compute: { module: this.module } });
    const entries = [this.a, this.sum].map((buffer, binding) => ({ binding, resource: { buffer } }));
    this.group = device.createBindGroup({ layout: this.pipeline.getBindGroupLayout(0), entries });
  }

  static async open(gpu: WgpuNative, features: readonly string[] = []): Promise<Adder> {
    const adapter = (await gpu.requestAdapter())!;
    return new Adder(await adapter.requestDevice({ requiredFeatures: features as GPUFeatureName[] }));
  }

  /** Commands that add, and copy the sum to where it can be read. */
  record(timestampWrites?: GPUComputePassTimestampWrites): GPUCommandBuffer {
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass(timestampWrites ? { timestampWrites } : {});
    pass.setPipeline(this.pipeline);
    pass.setBindGroup(0, this.group);
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(this.sum, 0, this.target, 0, 16);
    return encoder.finish();
  }

  /** Commands of one pass, in which the kernel and what it binds are set. */
  pass = (dispatch: (on: ReturnType<ReturnType<WgpuDevice["createCommandEncoder"]>["beginComputePass"]>) => void) => {
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.pipeline);
    pass.setBindGroup(0, this.group);
    dispatch(pass);
    pass.end();
    return encoder.finish();
  };

  /** Adds and reads. */
  add(): number[] {
    this.device.queue.submit([this.record()]);
    return [...new Float32Array(this.target.readSync())];
  }
}

/** What a program can do wrong with wgpu-native, whose library ends the process for some of it. */
import { strict as assert } from "node:assert";
import { Adder } from "./adder.ts";
import { openNative, testOnNative } from "./library.ts";

/** Each is wrong in its own way, and a reason for the library to complain, not to end the process. */
const MISTAKES: Readonly<Record<string, (adder: Adder) => unknown>> = {
  "a destroyed buffer is written": ({ device, a }) => {
    a.destroy();
    device.queue.writeBuffer(a, 0, new Uint32Array(4));
  },
  "a write is not aligned": ({ device, a }) => device.queue.writeBuffer(a, 2, new Uint32Array(1)),
  "a buffer is too large": ({ device }) => device.createBuffer({ size: 2 ** 45, usage: GPUBufferUsage.STORAGE }),
  "a buffer that is mapped at creation is not aligned": ({ device }) =>
    device.createBuffer({ size: 5, usage: GPUBufferUsage.COPY_SRC, mappedAtCreation: true }),
  "a buffer is not created rightly, and used": ({ device, target }) => {
    const odd = device.createBuffer({ size: 2 ** 45, usage: GPUBufferUsage.COPY_SRC });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(odd, 0, target, 0, 16);
    device.queue.submit([encoder.finish()]);
  },
  "a group is bound that no pipeline has": ({ device, pass, group }) =>
    device.queue.submit([pass((on) => {
      on.setBindGroup(99, group);
      on.dispatchWorkgroups(1);
    })]),
  "nothing is bound": ({ device, pass }) =>
    device.queue.submit([pass((on) => {
      on.setBindGroup(0, null);
      on.dispatchWorkgroups(1);
    })]),
  "too many workgroups are dispatched": ({ device, pass }) =>
    device.queue.submit([pass((on) => on.dispatchWorkgroups(2 ** 17))]),
  "a buffer of counts is none": ({ device, pass, sum }) =>
    device.queue.submit([pass((on) => on.dispatchWorkgroupsIndirect(sum, 0))]),
  "a pipeline has no such group": ({ pipeline }) => pipeline.getBindGroupLayout(7),
  "a bind group lacks a buffer": ({ device, pipeline }) =>
    device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [] }),
  "a bind group has a destroyed buffer": ({ device, pipeline, a, sum }) => {
    a.destroy();
    const entries = [a, sum].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(1);
    pass.end();
    device.queue.submit([encoder.finish()]);
  },
  "an entry point is missing": ({ device, module }) =>
    device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "none" } }),
  "a constant is unknown": ({ device, module }) =>
    device.createComputePipeline({ layout: "auto", compute: { module, constants: { none: 1 } } }),
  "a layout has more groups than there may be": ({ device, pipeline }) =>
    device.createPipelineLayout({ bindGroupLayouts: Array(20).fill(pipeline.getBindGroupLayout(0)) }),
  "a query set is empty": ({ device }) => device.createQuerySet({ type: "timestamp", count: 0 }),
  "a copy goes beyond the end": ({ device, sum, target }) => {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(sum, 8, target, 0, 16);
    device.queue.submit([encoder.finish()]);
  },
  "a copy goes to itself": ({ device, sum }) => {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(sum, 0, sum, 8, 8);
    device.queue.submit([encoder.finish()]);
  },
  "a clearing is not aligned": ({ device, sum }) => {
    const encoder = device.createCommandEncoder();
    encoder.clearBuffer(sum, 2, 4);
    device.queue.submit([encoder.finish()]);
  },
};

testOnNative("every mistake is an error of the device, which goes on", async () => {
  using gpu = openNative();
  for (const [what, make] of Object.entries(MISTAKES)) {
    const adder = await Adder.open(gpu);
    adder.device.pushErrorScope("validation");
    make(adder);
    const error = await adder.device.popErrorScope();
    assert.ok(error instanceof GPUValidationError, `${what}: ${error}`);
    assert.deepEqual([what, new Adder(adder.device).add()], [what, [0, 0, 0, 0]]);
    adder.device.destroy();
  }
});

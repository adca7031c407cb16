/** Devices of Dawn: what is read at once and what is awaited, and how what it refuses reads. */
import { strict as assert } from "node:assert";
import { Device } from "../../src/backend/webgpu/device.ts";
import { openProvider } from "../../src/backend/webgpu/provider.ts";
import { dawnDevice, testOnDawn } from "./library.ts";

const { COPY_DST, COPY_SRC, MAP_READ, QUERY_RESOLVE } = GPUBufferUsage;

const { readNow } = openProvider("dawn");

/** Two buffers, the second of which can be read. */
function buffers(gpu: GPUDevice): readonly [from: GPUBuffer, to: GPUBuffer] {
  return [
    gpu.createBuffer({ size: 16, usage: COPY_DST | COPY_SRC }),
    gpu.createBuffer({ size: 16, usage: COPY_DST | MAP_READ }),
  ];
}

/** Writes a number and copies it to where it can be read. */
function send(gpu: GPUDevice, from: GPUBuffer, to: GPUBuffer, value: number): void {
  gpu.queue.writeBuffer(from, 0, Uint32Array.of(value));
  const encoder = gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(from, 0, to, 0, 16);
  gpu.queue.submit([encoder.finish()]);
}

testOnDawn(
  "a buffer is read at once, right thousands of times, and what is submitted meanwhile comes later",
  async () => {
    const gpu = await dawnDevice();
    const [from, to] = buffers(gpu);
    const later = gpu.createBuffer({ size: 16, usage: COPY_DST | MAP_READ });
    for (let i = 1; i <= 3000; i++) {
      send(gpu, from, to, i);
      const read = readNow(to, 4, () => send(gpu, from, later, i + 0.5));
      assert.deepEqual([read.byteLength, new Uint32Array(read)[0]], [4, i]);
      if (i % 100 === 0) assert.equal(new Uint32Array(readNow(later, 4))[0], i);
    }
    gpu.destroy();
    assert.throws(() => readNow(to, 4));
  },
);

testOnDawn("whatever is awaited comes by itself, and setImmediate() is nobody else's", async () => {
  const usual = globalThis.setImmediate;
  const gpu = await dawnDevice();
  const [from, to] = buffers(gpu);
  send(gpu, from, to, 7);
  const [, , module] = await Promise.all([
    to.mapAsync(GPUMapMode.READ),
    gpu.queue.onSubmittedWorkDone(),
    gpu.createShaderModule({ code: "@compute @workgroup_size(1) fn main() {}" }),
  ]);
  assert.equal(new Uint32Array(to.getMappedRange())[0], 7);
  assert.deepEqual((await module.getCompilationInfo()).messages.length, 0);
  await gpu.createComputePipelineAsync({ layout: "auto", compute: { module } });
  gpu.pushErrorScope("validation");
  assert.equal(await gpu.popErrorScope(), null);
  assert.equal(globalThis.setImmediate, usual);
  const turned = new Promise((resolve) => setImmediate(resolve, 5));
  assert.equal(await turned, 5);
  gpu.destroy();
  assert.equal((await gpu.lost).reason, "destroyed");
});

testOnDawn("a shader that Dawn refuses is one error, with its name and what is wrong", async () => {
  using device = await Device.open({ gpu: "dawn" });
  device.guarded(
    "validation",
    () => device.gpu.createShaderModule({ label: "broken", code: "fn main( {}" }),
    (message) => new SyntaxError(`Cannot compile the kernel broken: ${message}`),
  );
  await assert.rejects(device.settled(), /^SyntaxError: Cannot compile the kernel broken: Error while parsing WGSL/);
});

testOnDawn("a command that Dawn refuses is told by the device", async () => {
  using device = await Device.open({ gpu: "dawn" });
  device.check();
  device.gpu.queue.writeBuffer(buffers(device.gpu)[0], 0, new Uint32Array(5));
  await device.gpu.queue.onSubmittedWorkDone();
  assert.throws(
    () => device.check(),
    /^Error: The GPU .+ refused a command: Write range \(bufferOffset: 0, size: 20\)/,
  );
});

testOnDawn("timestamps enclose a pass, and are finer than 65,536 ns", async () => {
  const gpu = await dawnDevice(["timestamp-query"]);
  const querySet = gpu.createQuerySet({ type: "timestamp", count: 2 });
  const resolved = gpu.createBuffer({ size: 16, usage: QUERY_RESOLVE | COPY_SRC });
  const target = gpu.createBuffer({ size: 16, usage: COPY_DST | MAP_READ });
  const times: bigint[] = [];
  for (let i = 0; i < 4; i++) {
    const encoder = gpu.createCommandEncoder();
    encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } })
      .end();
    encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, target, 0, 16);
    gpu.queue.submit([encoder.finish()]);
    const [begin, end] = new BigUint64Array(readNow(target, 16));
    assert.ok(begin! > 0n && end! >= begin!);
    times.push(begin!, end!);
  }
  assert.ok(times.some((time) => time % 65_536n !== 0n));
  gpu.destroy();
});

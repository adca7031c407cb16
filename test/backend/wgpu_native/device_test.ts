/** wgpu-native by the standard: adapters, errors and who hears of them, mapping, the loss of a device. */
import { strict as assert } from "node:assert";
import { openProvider } from "../../../src/backend/webgpu/provider.ts";
import { ENUMS } from "../../../src/backend/webgpu/wgpu_native/webgpu_h.ts";
import { Adder } from "./adder.ts";
import { openNative, testOnNative } from "./library.ts";

/** What a piece of work makes a device complain of; null if nothing. */
async function complaint({ device }: Adder, work: () => void): Promise<GPUError | null> {
  device.pushErrorScope("validation");
  work();
  return await device.popErrorScope();
}

const validation = (error: GPUError | null, message: RegExp) => {
  assert.ok(error instanceof GPUValidationError, `${error}`);
  assert.match(error.message, message);
};

testOnNative("adapters are listed, and chosen by number or by a part of their name", async () => {
  using gpu = openNative();
  const [first] = gpu.adapters();
  assert.match(gpu.version, /^29\.\d+\.\d+\.\d+$/);
  assert.ok(first!.info.description.length > 0 && first!.limits.maxBufferSize >= 2 ** 28);
  const name = (choice: string) =>
    openProvider(`wgpu-native:${choice}`).adapter().then((adapter) => adapter?.info.description);
  assert.equal(await name("0"), first!.info.description);
  assert.equal(await name(first!.info.description.slice(1, 6).toUpperCase()), first!.info.description);
  for (const choice of ["99", "no such thing"]) {
    await assert.rejects(name(choice), {
      name: "NotFound",
      message: /^Cannot open wgpu-native:.+: its adapters are 0 \(/,
    });
  }
});

testOnNative(
  "requestDevice() grants features by name and raised limits, and refuses what the adapter has not",
  async () => {
    using gpu = openNative();
    const adapter = (await gpu.requestAdapter())!;
    const { maxBufferSize } = adapter.limits;
    const feature = [...adapter.features].find((name) => name.startsWith("wgpu-"))! as GPUFeatureName;
    using device = await adapter.requestDevice({ requiredFeatures: [feature], requiredLimits: { maxBufferSize } });
    assert.deepEqual([[...device.features], device.limits.maxBufferSize], [[feature], maxBufferSize]);
    using plain = await adapter.requestDevice();
    assert.equal(plain.features.size, 0);
    const refused = (descriptor: GPUDeviceDescriptor) => assert.rejects.bind(null, adapter.requestDevice(descriptor));
    await refused({ requiredFeatures: ["flying" as GPUFeatureName] })({
      name: "TypeError",
      message: /no feature "flying"/,
    });
    await refused({ requiredLimits: { maxBufferSize: 2 * maxBufferSize } })({
      name: "OperationError",
      message: /it has/,
    });
    await refused({ requiredLimits: { maxHats: 1 } })({ name: "OperationError", message: /no such limit/ });
  },
);

testOnNative("errors go to the innermost scope for such, else to uncapturederror", async () => {
  using gpu = openNative();
  const { device } = await Adder.open(gpu);
  const outOfMemory = () => device.heardError(ENUMS.ErrorType.OutOfMemory, "no room");
  device.pushErrorScope("validation");
  device.pushErrorScope("out-of-memory");
  device.createBuffer({ size: 16, usage: 2 ** 20 });
  device.createBuffer({ size: 5e9, usage: GPUBufferUsage.STORAGE });
  outOfMemory();
  assert.ok(await device.popErrorScope() instanceof GPUOutOfMemoryError);
  validation(await device.popErrorScope(), /1048576 is no usage of buffers/);
  await assert.rejects(device.popErrorScope(), { name: "OperationError" });
  const heard: string[] = [];
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    heard.push((event as GPUUncapturedErrorEvent).error.message);
  });
  outOfMemory();
  await null;
  assert.deepEqual(heard, ["no room"]);
});

testOnNative("a shader that does not compile says where, and so does what is made of it", async () => {
  using gpu = openNative();
  const adder = await Adder.open(gpu);
  const { device } = adder;
  let module: GPUShaderModule | null = null;
  const code = "@compute @workgroup_size(1)\nfn main() { let x: u32 = 1.5; }";
  validation(
    await complaint(adder, () => module = device.createShaderModule({ label: "odd", code })),
    /odd[^]+wgsl:2:/,
  );
  const { messages: [message] } = await module!.getCompilationInfo();
  assert.deepEqual([message!.type, message!.lineNum], ["error", 2]);
  const descriptor = { layout: "auto", compute: { module: module! } } as const;
  validation(await complaint(adder, () => device.createComputePipeline(descriptor)), /invalid/);
  await assert.rejects(device.createComputePipelineAsync(descriptor), {
    name: "GPUPipelineError",
    reason: "validation",
  });
  const right = device.createShaderModule({ code: "@compute @workgroup_size(1) fn main() {}" });
  assert.deepEqual((await right.getCompilationInfo()).messages, []);
  await device.createComputePipelineAsync({ layout: "auto", compute: { module: right } });
  adder.device.queue.writeBuffer(adder.a, 0, Float32Array.of(1, 2, 3, 4));
  assert.deepEqual(adder.add(), [1, 2, 3, 4]);
});

testOnNative("mapAsync() gives memory until it is unmapped, and refuses what cannot be mapped", async () => {
  using gpu = openNative();
  const adder = await Adder.open(gpu);
  const { device, target, sum } = adder;
  device.queue.writeBuffer(sum, 0, Float32Array.of(9, 1, 2, 3, 4), 1);
  device.queue.submit([adder.record()]);
  const mapped = target.mapAsync(GPUMapMode.READ);
  assert.equal(target.mapState, "pending");
  await mapped;
  const range = target.getMappedRange(8, 8);
  assert.deepEqual([...new Float32Array(range)], [3, 4]);
  assert.throws(() => target.getMappedRange(4, 4), { name: "OperationError" });
  assert.throws(() => target.getMappedRange(8, 16), { name: "OperationError" });
  assert.throws(() => target.getMappedRange(0, 12), { name: "OperationError", message: /given out before/ });
  assert.equal(target.getMappedRange(0, 8).byteLength, 8);
  validation(await complaint(adder, () => device.queue.submit([adder.record()])), /is mapped/);
  target.unmap();
  assert.deepEqual([range.byteLength, target.mapState], [0, "unmapped"]);
  assert.throws(() => target.getMappedRange(), { name: "OperationError" });
  const refused = async (map: () => Promise<unknown>, message: RegExp) => {
    device.pushErrorScope("validation");
    await assert.rejects(map(), { name: "OperationError", message });
    validation(await device.popErrorScope(), message);
  };
  await refused(() => sum.mapAsync(GPUMapMode.READ), /"sum": it was not created for that/);
  await refused(() => target.mapAsync(GPUMapMode.WRITE), /not created/);
  await refused(() => target.mapAsync(GPUMapMode.READ, 3, 4), /Cannot map|aligned|OFFSET|offset/i);
  const given = target.mapAsync(GPUMapMode.READ);
  const again = refused(() => target.mapAsync(GPUMapMode.READ), /pending already/);
  target.unmap();
  await assert.rejects(given, { name: "AbortError", message: /it was unmapped/ });
  await again;
  target.destroy();
  await refused(() => target.mapAsync(GPUMapMode.READ), /it is destroyed/);
});

testOnNative("mappedAtCreation gives memory to write to", async () => {
  using gpu = openNative();
  const { device, target } = await Adder.open(gpu);
  const written = device.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_SRC, mappedAtCreation: true });
  new Uint32Array(written.getMappedRange()).set([4, 5, 6, 7]);
  written.unmap();
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(written, 0, target, 0, 16);
  encoder.clearBuffer(target, 4, 4);
  device.queue.submit([encoder.finish()]);
  assert.deepEqual([...new Uint32Array(target.readSync())], [4, 0, 6, 7]);
});

testOnNative("submit() refuses what would end the process, and the device goes on", async () => {
  using gpu = openNative();
  const adder = await Adder.open(gpu);
  const { device, sum, target } = adder;
  const submit = (...commands: GPUCommandBuffer[]) => complaint(adder, () => device.queue.submit(commands));
  const once = adder.record();
  validation(await submit(once, once), /there twice/);
  validation(await submit(once), /submitted before/);
  const open = device.createCommandEncoder();
  open.beginComputePass();
  validation(await complaint(adder, () => device.queue.submit([open.finish()])), /./);
  const ended = device.createCommandEncoder();
  const pass = ended.beginComputePass();
  pass.end();
  validation(await complaint(adder, () => pass.dispatchWorkgroups(1)), /the compute pass has ended/);
  validation(await submit(ended.finish()), /not recorded rightly/);
  validation(await complaint(adder, () => ended.clearBuffer(sum)), /the command encoder is finished/);
  const other = await Adder.open(gpu);
  const foreign = device.createCommandEncoder();
  validation(await complaint(adder, () => foreign.copyBufferToBuffer(other.sum, 0, target, 0, 16)), /another device/);
  validation(await complaint(adder, () => device.queue.writeBuffer(other.sum, 0, new Uint32Array(1))), /none of this/);
  assert.throws(() => device.queue.writeBuffer(sum, 0, new Uint8Array(3)), { name: "OperationError" });
  assert.deepEqual(adder.add(), [0, 0, 0, 0]);
  const copied = device.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_SRC, mappedAtCreation: true });
  const copy = device.createCommandEncoder();
  copy.copyBufferToBuffer(copied, target);
  validation(await submit(copy.finish()), /a buffer in use is mapped/);
  copied.unmap();
  const late = adder.record();
  validation(await complaint(other, () => other.device.queue.submit([adder.record()])), /of another device/);
  adder.a.destroy();
  validation(await submit(late), /a buffer in use is destroyed/);
  validation(await submit(adder.record()), /a buffer in use is destroyed/);
  assert.equal(device.alive, true);
});

testOnNative("readSync() waits for its own submission, and reads right data thousands of times", async () => {
  using gpu = openNative();
  const adder = await Adder.open(gpu);
  adder.device.queue.writeBuffer(adder.a, 0, Float32Array.of(1, 2, 3, 4));
  for (let i = 1; i <= 3000; i++) assert.deepEqual(adder.add(), [i, 2 * i, 3 * i, 4 * i]);
  const { device, target } = adder;
  device.queue.submit([adder.record()]);
  const submission = device.queue.lastSubmission!;
  device.queue.submit([device.createCommandEncoder().finish()]);
  assert.equal(target.lastSubmission, submission);
  assert.ok(device.queue.lastSubmission! > submission);
  assert.deepEqual([...new Float32Array(target.readSync())], [3001, 6002, 9003, 12004]);
  await device.queue.onSubmittedWorkDone();
});

testOnNative("timestamps enclose a pass", async () => {
  using gpu = openNative();
  const adder = await Adder.open(gpu, ["timestamp-query"]);
  const { device } = adder;
  const querySet = device.createQuerySet({ type: "timestamp", count: 2 });
  const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const resolved = device.createBuffer({ size: 16, usage: QUERY_RESOLVE | COPY_SRC });
  const target = device.createBuffer({ size: 16, usage: COPY_DST | MAP_READ });
  const timed = adder.record({ querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 });
  const encoder = device.createCommandEncoder();
  encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
  encoder.copyBufferToBuffer(resolved, target);
  device.queue.submit([timed, encoder.finish()]);
  const [begin, end] = new BigUint64Array(target.readSync());
  assert.ok(begin! > 0n && end! >= begin!);
  querySet.destroy();
});

testOnNative(
  "a destroyed device settles all that waits, makes things that do nothing, and frees everything",
  async () => {
    using gpu = openNative();
    const adder = await Adder.open(gpu);
    const { device, target } = adder;
    const commands = adder.record();
    const waits = [target.mapAsync(GPUMapMode.READ).catch((error) => error.name), device.queue.onSubmittedWorkDone()];
    device.destroy();
    assert.deepEqual(await device.lost, { reason: "destroyed", message: "the device was destroyed" });
    assert.deepEqual(await Promise.all(waits), ["AbortError", undefined]);
    device.pushErrorScope("validation");
    device.queue.submit([commands, adder.record()]);
    device.queue.writeBuffer(adder.a, 0, new Float32Array(4));
    device.createBuffer({ size: 16, usage: 2 ** 20 }).destroy();
    device.wait();
    await device.queue.onSubmittedWorkDone();
    new Adder(device).record();
    assert.throws(() => target.readSync(), { name: "AbortError" });
    assert.equal(await device.popErrorScope(), null);
    const kept = Object.entries(gpu.report()).filter(([kind, count]) => kind !== "adapters" && count > 0);
    assert.deepEqual([device.liveHandles, kept], [0, []]);
    device.destroy();
  },
);

testOnNative("a device that the library loses tells so, and takes nothing any more", async () => {
  using gpu = openNative();
  const { device, target } = await Adder.open(gpu);
  device.heardLoss("  it fell off the bus\n");
  assert.deepEqual(await device.lost, { reason: "unknown", message: "it fell off the bus" });
  await assert.rejects(target.mapAsync(GPUMapMode.READ), { name: "AbortError" });
  assert.equal(device.alive, false);
});

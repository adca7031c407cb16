/** What is around the WebGPU kernels: providers, adapters, lost devices, reading back, memory, steps that do not fit. */
import { strict as assert } from "node:assert";
import type { Read } from "../../src/backend/backend.ts";
import type { WeightType } from "../../src/backend/tensor.ts";
import { hasHardwareGpu, isSoftware, listAdapters } from "../../src/backend/webgpu/adapters.ts";
import { DeviceLostError } from "../../src/backend/backend.ts";
import { Device, WIDE_INTEGERS } from "../../src/backend/webgpu/device.ts";
import { GpuTensor } from "../../src/backend/webgpu/memory.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { ReferenceBackend } from "./reference_backend.ts";
import { GPU, MISSING, testOnBuiltIn, testOnGpu } from "../gpu.ts";
import { openProvider } from "../../src/backend/webgpu/provider.ts";
import { deviceOf } from "./webgpu_device.ts";

const open = (options: { maxBindingBytes?: number } = {}) => WebGpuBackend.open({ gpu: GPU, ...options });

/** A plan that brings rows of 4 to the device, and how to read `rows` of them. */
function roundTrip(backend: WebGpuBackend, most: number) {
  const hidden = backend.tensor("hidden", "f32", [most, 4]);
  const plan = backend.record({ rows: most, segments: 1, outputs: 0 }, (ops) => ops.receive(hidden));
  const reads = (rows: number): Read[] => [{ tensor: hidden, elements: 4 * rows }];
  const run = async (values: number[]) => {
    const rows = values.length / 4;
    const step = {
      segments: [{ slot: 0, start: 0, rows }],
      outputs: new Uint32Array(),
      rows: Float32Array.from(values),
    };
    return [...new Float32Array((await backend.run(plan, step, reads(rows)))[0]!)];
  };
  return { hidden, plan, run };
}

testOnGpu(
  "listAdapters() describes each adapter once, and hasHardwareGpu() looks for one that is no software",
  async () => {
    const adapters = await listAdapters(GPU);
    assert.ok(adapters.length > 0);
    assert.equal(new Set(adapters.map(({ name }) => name)).size, adapters.length);
    for (const { limits, features, name } of adapters) {
      assert.ok(limits.maxStorageBufferBindingSize! >= 2 ** 27 && features.length > 0, name);
    }
    assert.equal(await hasHardwareGpu(GPU), adapters.some(({ software }) => !software));
  },
);

/** Runs something while Deno's own WebGPU gives another adapter. */
async function withAdapter(adapter: () => Promise<GPUAdapter | null>, work: () => Promise<void>): Promise<void> {
  navigator.gpu.requestAdapter = adapter;
  try {
    await work();
  } finally {
    Reflect.deleteProperty(navigator.gpu, "requestAdapter");
  }
}

testOnBuiltIn("open() says what to do where there is no adapter, and hasHardwareGpu() is false", async () => {
  await withAdapter(() => Promise.resolve(null), async () => {
    await assert.rejects(WebGpuBackend.open({ gpu: GPU }), {
      name: "NotFound",
      message: "Cannot open a GPU: there is none; install its Vulkan driver, or use --backend wasm",
    });
    assert.equal(await hasHardwareGpu(), false);
  });
});

testOnBuiltIn("open() does without features that the adapter refuses", async () => {
  const request = navigator.gpu.requestAdapter.bind(navigator.gpu);
  const asked: string[][] = [];
  const stubborn = async () => {
    const adapter = (await request())!;
    const requestDevice = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = (options) => {
      const features = [...options?.requiredFeatures ?? []];
      asked.push(features);
      return features.length > 0 ? Promise.reject(new TypeError("not granted")) : requestDevice(options);
    };
    return adapter;
  };
  await withAdapter(stubborn, async () => {
    using device = await Device.open({ gpu: GPU });
    assert.equal(device.subgroups, false);
  });
  const usual = asked.filter((features) => !features.includes(WIDE_INTEGERS)); // which only a CPU is asked for
  assert.deepEqual(usual, [["subgroups", "shader-f16"], ["subgroups"], ["shader-f16"], []]);
}, MISSING);

Deno.test("isSoftware() knows software drivers by their flag and by their names", () => {
  const info = (description: string, isFallbackAdapter: boolean) =>
    ({ description, isFallbackAdapter, device: "", vendor: "" }) as GPUAdapterInfo;
  assert.ok(isSoftware(info("llvmpipe (LLVM 15.0.6, 256 bits)", false)));
  assert.ok(isSoftware(info("anything", true)));
  assert.ok(!isSoftware(info("NVIDIA H100 80GB HBM3", false)));
});

testOnGpu("run() rejects with DeviceLostError once the device is lost, before a step and in one", async () => {
  const device = await deviceOf([]);
  const backend = await WebGpuBackend.open({ gpu: GPU, device });
  const { run, hidden } = roundTrip(backend, 2);
  assert.deepEqual(await run([1, 2, 3, 4]), [1, 2, 3, 4]);
  device.destroy();
  const lost = {
    name: "DeviceLostError",
    message: /^The GPU .* was lost \(.+\): its work is gone, start the stage again$/,
  };
  await assert.rejects(run([5, 6, 7, 8]), lost);
  await assert.rejects(run([5, 6, 7, 8]), lost);
  await assert.rejects(backend.read([{ tensor: hidden, elements: 4 }]), DeviceLostError);
  await assert.rejects(backend.write(hidden, 0, new Uint8Array(16)), DeviceLostError);
});

testOnGpu("open() trusts the synchronous read where it gives new data", async () => {
  using backend = await open();
  assert.equal(backend.synchronous, true);
});

/** Reads that a careless trick could give: old data, none, an error. */
const BROKEN = {
  "what an earlier read gave": (() => {
    let [first, reads] = [new ArrayBuffer(4), 0];
    return (buffer: GPUBuffer, bytes: number) => {
      const current = openProvider(GPU).readNow(buffer, bytes);
      if (reads++ % 8 === 0) first = current;
      return first;
    };
  })(),
  zeros: (_: GPUBuffer, bytes: number) => new ArrayBuffer(bytes),
  "an error": () => {
    throw new DOMException("Buffer is not mapped", "OperationError");
  },
};

for (const [what, readNow] of Object.entries(BROKEN)) {
  testOnGpu(`open() falls back to awaiting where the synchronous read gives ${what}`, async () => {
    using backend = await WebGpuBackend.open({ gpu: GPU, readNow });
    assert.equal(backend.synchronous, false);
    const { run } = roundTrip(backend, 2);
    for (let i = 0; i < 6; i++) assert.deepEqual(await run([i, 1, 2, 3, 4, 5, 6, 7]), [i, 1, 2, 3, 4, 5, 6, 7]);
  });
}

testOnGpu("run() reads right data a thousand times in a row while timers get their turns", async () => {
  using backend = await open();
  const { run } = roundTrip(backend, 8);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  for (let i = 0; i < 1000; i++) {
    const values = Array.from({ length: 4 * (1 + i % 8) }, (_, j) => i + j);
    assert.deepEqual(await run(values), values);
  }
  clearInterval(timer);
  assert.ok(turns > 0, "no timer fired");
});

testOnGpu("tensor() is all zeros, and write() reaches every element of one in parts", async () => {
  for (const dtype of ["f32", "bf16", "f16", "f8_e4m3", "u32"] as const satisfies readonly (WeightType | "u32")[]) {
    using backend = await open({ maxBindingBytes: 256 });
    const tensor = backend.tensor("weights", dtype, [5, 7, 8]);
    const elements = 5 * 7 * 8;
    const read = async () => new Uint8Array((await backend.read([{ tensor, elements }]))[0]!);
    const size = (await read()).length;
    assert.deepEqual(await read(), new Uint8Array(size));
    const bytes = Uint8Array.from({ length: size }, (_, i) => i % 251);
    const middle = 8 * 20;
    await backend.write(tensor, middle, bytes.subarray(middle * size / elements));
    await backend.write(tensor, 0, bytes.subarray(0, middle * size / elements));
    assert.deepEqual(await read(), bytes, dtype);
    assert.equal((tensor as GpuTensor).parts.length > 1, true);
  }
});

testOnGpu("tensor() splits a stack between its matrices where they fit, else between rows", async () => {
  using backend = await open({ maxBindingBytes: 4096 });
  const firsts = (...shape: number[]) =>
    (backend.tensor("stack", "f32", shape) as GpuTensor).parts.map(({ first, count }) => [first, count]);
  assert.deepEqual(firsts(5, 8, 64), [[0, 16], [16, 16], [32, 8]]);
  assert.deepEqual(firsts(2, 20, 64), [[0, 16], [16, 16], [32, 8]]);
  assert.deepEqual(firsts(16, 64), [[0, 16]]);
  assert.deepEqual(firsts(1024), [[0, 1]]);
});

testOnGpu("tensor() refuses a row that no binding holds, naming the sizes", async () => {
  using backend = await open({ maxBindingBytes: 4096 });
  assert.throws(() => backend.tensor("table", "f32", [2, 1028]), {
    name: "RangeError",
    message: /^Cannot hold table \[2,1028\]: one row has 4112 bytes, and .* binds at most 4096; use another device/,
  });
});

testOnGpu(
  "run() rejects with OutOfMemoryError when the device had no room for a tensor, naming what to change",
  async () => {
    const device = await deviceOf([]);
    using backend = await WebGpuBackend.open({ gpu: GPU, device });
    const { run } = roundTrip(backend, 1);
    const pop = device.popErrorScope.bind(device);
    device.popErrorScope = async () => await pop() ?? new GPUOutOfMemoryError("no room");
    const tensor = backend.tensor("keys of layer 4", "f32", [64, 16]);
    const full = {
      name: "OutOfMemoryError",
      message:
        /^Cannot allocate keys of layer 4 \(4096 bytes\) on .* beside the \d+ bytes that are in use: use --quant/,
    };
    await assert.rejects(backend.write(tensor, 0, new Uint8Array(4)), full);
    await assert.rejects(run([1, 2, 3, 4]), full);
  },
);

testOnGpu("allocate() makes all tensors or none, and the device stays usable when it had no room", async () => {
  const device = await deviceOf([]);
  using backend = await WebGpuBackend.open({ gpu: GPU, device });
  const { run } = roundTrip(backend, 1);
  const wanted = ["keys", "values"].map((label) => ({ label, dtype: "f16" as const, shape: [4, 2, 64, 8] }));
  const before = backend.bytes;
  const made = await backend.allocate(wanted);
  assert.equal(backend.bytes, before + 2 * 8192);
  assert.deepEqual(made.map(({ label, shape }) => [label, shape]), wanted.map(({ label, shape }) => [label, shape]));
  const pop = device.popErrorScope.bind(device);
  device.popErrorScope = async () => await pop() ?? new GPUOutOfMemoryError("no room");
  await assert.rejects(backend.allocate(wanted), { name: "OutOfMemoryError", message: /keys/ });
  device.popErrorScope = pop;
  assert.equal(backend.bytes, before + 2 * 8192);
  assert.deepEqual(await run([1, 2, 3, 4]), [1, 2, 3, 4]);
});

testOnGpu("write() refuses bytes past a tensor's end", async () => {
  using backend = await open();
  const tensor = backend.tensor("norm", "f32", [8]);
  await assert.rejects(backend.write(tensor, 4, new Uint8Array(20)), {
    name: "RangeError",
    message: "Cannot write 20 bytes from byte 16 on into norm: it has 32",
  });
});

testOnGpu("run() refuses steps that do not fit the plan, saying why, and stays usable", async () => {
  using backend = await open();
  const [hidden, logits] = [backend.tensor("hidden", "f32", [2, 8]), backend.tensor("logits", "f32", [1, 8])];
  const [table, state] = [backend.tensor("table", "f32", [8, 8]), backend.tensor("state", "f32", [2, 1, 8, 8])];
  const block = () => ["keys", "values"].map((label) => backend.tensor(label, "f32", [2, 1, 64, 8]));
  const cache = [block(), block()].map(([keys, values]) => ({ keys: keys!, values: values! }));
  const qkv = backend.tensor("qkv", "f32", [2, 24]);
  const norm = { weight: backend.tensor("norm", "f32", [8]), eps: 1e-6 };
  const how = { heads: 1, kvHeads: 1, headDim: 8, silu: false, queryNorm: null, keyNorm: null, rope: null };
  const linear = { ...how, logDecay: [-1], groupNorm: norm, groups: 1 };
  const plan = backend.record({ rows: 2, segments: 1, outputs: 1, pages: 2 }, (ops) => {
    ops.embed(hidden, { values: table, scales: null });
    ops.linearAttention(hidden, qkv, hidden, state, linear);
    ops.softmaxAttention(hidden, qkv, cache, how);
    ops.head(logits, hidden, norm, { values: table, scales: null });
  });
  const run = (slot: number, start: number, tokens: number[], outputs: number[] = [], pages = [0]) =>
    backend.run(plan, {
      segments: [{ slot, start, rows: tokens.length }],
      pages: [pages],
      outputs: Uint32Array.from(outputs),
      rows: Uint32Array.from(tokens),
    }, []);
  const refused = (reason: string) => ({ name: "RangeError", message: `Cannot run the step: ${reason}` });
  await assert.rejects(run(0, 0, [1, 2, 3]), refused("it has 3 rows, the plan is for 2"));
  await assert.rejects(run(0, 0, [1], [0, 0]), refused("it has 2 outputs, the plan is for 1"));
  await assert.rejects(run(2, 0, [1]), refused("place 2 is none of the 2"));
  await assert.rejects(run(0, 63, [1, 2]), refused("slot 0 would reach position 65, its pages end at 64"));
  await assert.rejects(run(0, 0, [1], [], [4]), refused("page 4 is none of the 4"));
  await assert.rejects(run(0, 0, [1], [], [0, 1, 2]), refused("it has 3 pages of a sequence, the plan is for 2"));
  await assert.rejects(run(0, 0, [1], [1]), refused("row 1 is an output, there are 1"));
  await assert.rejects(run(0, 0, [1, 8]), refused("token 8 is none of the 8"));
});

testOnGpu(
  "operations refuse tensors of another backend, and weights that one kernel cannot read together",
  async () => {
    using backend = await open();
    const foreign = new ReferenceBackend().tensor("foreign", "f32", [2, 8]);
    const record = (build: Parameters<WebGpuBackend["record"]>[1]) =>
      backend.record({ rows: 1, segments: 1, outputs: 1 }, build);
    assert.throws(() => record((ops) => ops.receive(foreign)), /^TypeError: Cannot use foreign on the GPU/);
    const [out, hidden] = [backend.tensor("out", "f32", [1, 4]), backend.tensor("hidden", "f32", [1, 8])];
    const norm = { weight: backend.tensor("norm", "f32", [8]), eps: 1e-6 };
    const [gate, up] = (["bf16", "f32"] as const).map((type) => ({
      values: backend.tensor(type, type, [4, 8]),
      scales: null,
    }));
    assert.throws(() => record((ops) => ops.gateUp(out, hidden, norm, gate!, up!)), {
      name: "TypeError",
      message:
        "Cannot use bf16 with f32: they are stored as bf16 [4,8] in blocks [] and f32 [4,8] in blocks []; widen both to f32",
    });
  },
);

/** A stage is opened only where it fits and what was written can be read back; otherwise one sentence says what to change. */
import { strict as assert } from "node:assert";
import { OutOfMemoryError, type Read } from "../../src/backend/backend.ts";
import type { DataType, Tensor } from "../../src/backend/tensor.ts";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { EMBEDDED_MODEL } from "../../src/mod.ts";
import type { StageOptions } from "../../src/pipeline/messages.ts";
import { checkRoom } from "../../src/stage/memory.ts";
import { openStage } from "../../src/stage/open.ts";
import { Memory } from "../../wasm/memory.ts";
import { type KernelsExports, url } from "../../wasm/kernels.ts";
import { testOnBackends } from "../backend/backends.ts";
import { GPU, testOnGpu } from "../gpu.ts";
import { deviceOf } from "../backend/webgpu_device.ts";
import { STAGE_OPTIONS } from "./fake_stage.ts";

const OPTIONS: StageOptions = { ...STAGE_OPTIONS, model: EMBEDDED_MODEL, layers: { start: 0, end: 10 } };
const SIZE = { weightBytes: 32.8e9, stateBytes: 4.8e9, cacheBytes: 1e15, activationBytes: 0.3e9 };
const CPU = { device: "CPU", maxBytes: 2 ** 32, onHost: true };

function why(
  device: Parameters<typeof checkRoom>[0],
  size: Parameters<typeof checkRoom>[1],
  options = OPTIONS,
  free = 1e12,
) {
  try {
    checkRoom(device, size, options, () => free);
  } catch (error) {
    assert.ok(error instanceof RangeError);
    return error.message;
  }
  return null;
}

Deno.test("checkRoom() names what takes most first, and more stages only where they bring more memory", () => {
  const takes = "and they take 32.8 GB of weights, 4.8 GB of states for 1 sequence and 0.3 GB for a step";
  assert.equal(
    why(CPU, SIZE),
    `Cannot hold layers 0-9 on CPU: it holds 4.3 GB, ${takes}; use --quantize q4 or more --stages`,
  );
  const llvmpipe = { device: "llvmpipe", maxBytes: Infinity, onHost: true };
  assert.equal(
    why(llvmpipe, SIZE, OPTIONS, 24e9),
    `Cannot hold layers 0-9 on llvmpipe: 24.0 GB of memory are free, ${takes}; use --quantize q4`,
  );
  assert.match(
    why(llvmpipe, { ...SIZE, stateBytes: 1e7 }, { ...OPTIONS, quantize: "q4" }, 24e9)!,
    /32\.8 GB of weights, 10\.0 MB of states .*; use a device with more memory$/,
  );
  const many = { ...OPTIONS, slots: 32, quantize: "q4" } as const;
  assert.match(
    why(CPU, { ...SIZE, stateBytes: 1e12 }, many)!,
    /for 32 sequences .*; use fewer --max-sequences or more --stages$/,
  );
});

Deno.test("checkRoom() lets pass what fits, and what it cannot know", () => {
  assert.equal(
    why(CPU, { weightBytes: 2 ** 31, stateBytes: 2 ** 30, cacheBytes: 2 ** 40, activationBytes: 2 ** 30 }),
    null,
  );
  assert.equal(why({ device: "H100", maxBytes: Infinity, onHost: false }, SIZE, OPTIONS, 1), null);
});

Deno.test("openStage() checks the room before it loads anything", async () => {
  const told: number[] = [];
  const tooMuch = { ...OPTIONS, slots: 10_000, context: 2 ** 20 };
  await assert.rejects(openStage(tooMuch, (loaded) => told.push(loaded)), {
    message: /^Cannot hold layers 0-9 on .*; use fewer --max-sequences/,
  });
  assert.deepEqual(told, []);
});

/** Refuses one tensor, or spoils what is read back of it. */
class FaultyBackend extends WasmBackend {
  constructor(memory: Memory<KernelsExports>, readonly label: string, readonly fault: "full" | "spoils") {
    super(memory);
  }

  override tensor(label: string, dtype: DataType, shape: readonly number[]): Tensor {
    if (this.fault === "full" && label === this.label) throw new OutOfMemoryError(label, 4, this.device, this.bytes);
    return super.tensor(label, dtype, shape);
  }

  override async read(reads: readonly Read[]): Promise<ArrayBuffer[]> {
    const all = await super.read(reads);
    const spoils = (i: number) => this.fault === "spoils" && reads[i]!.tensor.label === this.label;
    return all.map((bytes, i) => spoils(i) ? new Uint8Array(bytes).map((byte) => byte ^ 1).buffer : bytes);
  }
}

const faulty = (label: string, fault: "full" | "spoils") => async () =>
  new FaultyBackend(await Memory.load<KernelsExports>(url, true), label, fault);

for (
  const [label, change] of [
    ["model.layers.3.mlp.experts.up_proj", "--quantize q4 or more --stages"],
    ["states of layer 3", "--quantize q4 or more --stages"],
  ]
) {
  Deno.test(`openStage() says what to change where there is no room for ${label}`, async () => {
    await assert.rejects(openStage(OPTIONS, () => {}, faulty(label!, "full")), {
      name: "RangeError",
      message: new RegExp(
        `^Cannot hold layers 0-9 on CPU \\(WASM SIMD\\): it has no room for ${label}, and they take .*; use ${change}$`,
      ),
    });
  });
}

testOnGpu("openStage() says what to change when a GPU has no room, before it has read the weights", async () => {
  const device = await deviceOf(["subgroups"]).catch(() => deviceOf([]));
  const pop = device.popErrorScope.bind(device);
  const create = device.createBuffer.bind(device);
  let refused = false;
  device.createBuffer = (descriptor) => {
    refused ||= descriptor.label === "states of layer 3";
    return create(descriptor);
  };
  device.popErrorScope = async () => {
    const judged = refused;
    refused = false;
    return await pop() ?? (judged ? new GPUOutOfMemoryError("no room") : null);
  };
  const told: number[] = [];
  const open = () => WebGpuBackend.open({ gpu: GPU, device });
  await assert.rejects(openStage({ ...OPTIONS, backend: "webgpu" }, (loaded) => told.push(loaded), open), {
    message: /: it has no room for states of layer 3, and they take .*; use --quantize q4/,
  });
  assert.deepEqual(told, []);
});

for (const quantize of ["none", "q4"] as const) {
  const label = "model.word_embeddings.weight";
  Deno.test(`openStage() refuses a device that does not hold what was written, in ${quantize}`, async () => {
    await assert.rejects(openStage({ ...OPTIONS, quantize }, () => {}, faulty(label, "spoils")), {
      message: `Cannot use CPU (WASM SIMD): ${label} does not read back as it was written; ` +
        "the device's memory or its driver is faulty",
    });
  });
}

testOnBackends("openStage() leaves nothing for the first steps to make", async ({ name }) => {
  const backends: (WasmBackend | WebGpuBackend)[] = [];
  const progress: (readonly number[])[] = [];
  const options = { ...OPTIONS, backend: name, slots: 4, maxRows: 64 };
  const { model } = await openStage(options, (...bytes) => progress.push(bytes), async () => {
    const backend = name === "wasm" ? await WasmBackend.open() : await WebGpuBackend.open({ gpu: GPU });
    backends.push(backend);
    return backend;
  });
  using _model = model;
  const [backend] = backends;
  assert.equal(...(progress.at(-1) as [number, number]));
  const bytes = backend!.bytes;
  backend!.record = () => assert.fail("a plan is recorded");
  for (const rows of [1, 5, 64]) {
    const step = { id: rows, segments: [{ slot: 0, start: 0, rows }], outputs: Uint32Array.of(rows - 1) };
    await model.forward(step, new Uint32Array(rows));
  }
  const segments = [0, 1, 2, 3].map((slot) => ({ slot, start: 0, rows: 1 }));
  await model.forward({ id: 100, segments, outputs: Uint32Array.of(0, 1, 2, 3) }, new Uint32Array(4));
  assert.equal(backend!.bytes, bytes);
});

/** fill() on every backend: what the values are spread over, that they are numbers, and that a seed repeats them. */
import { strict as assert } from "node:assert";
import type { Backend, RandomValues } from "../../src/backend/backend.ts";
import { byteLength, ELEMENT_BYTES, type Tensor, type WeightType } from "../../src/backend/tensor.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { testOnBackends } from "./backends.ts";
import { GPU, testOnGpu } from "../gpu.ts";

const SHAPE = [3, 100, 512] as const;
const COUNT = 3 * 100 * 512;

async function bytesOf(backend: Backend, tensor: Tensor): Promise<ArrayBuffer> {
  const [bytes] = await backend.read([{ tensor, elements: tensor.shape.reduce((a, b) => a * b) }]);
  assert.equal(bytes!.byteLength, byteLength(tensor));
  return bytes!;
}

async function filled(backend: Backend, type: WeightType, values: RandomValues): Promise<ArrayBuffer> {
  const tensor = backend.tensor(type, type, SHAPE);
  await backend.fill(tensor, values);
  return await bytesOf(backend, tensor);
}

function decode(type: "f32" | "bf16" | "f16", bytes: ArrayBuffer): ArrayLike<number> {
  if (type === "f32") return new Float32Array(bytes);
  if (type === "f16") return new Float16Array(bytes);
  return new Float32Array(Uint32Array.from(new Uint16Array(bytes), (code) => code << 16).buffer);
}

/** Throws unless values are even over [centre - spread, centre + spread]: bounds, mean, variance, and no two halves alike. */
function assertEven(values: ArrayLike<number>, { spread, centre }: RandomValues, type: string): void {
  assert.equal(values.length, COUNT);
  const all = Array.from(values, (value) => (value - centre) / spread);
  assert.ok(all.every((value) => Math.abs(value) <= 1.01), `${type}: a value is out of bounds, or NaN`);
  const mean = all.reduce((sum, value) => sum + value, 0) / COUNT;
  const variance = all.reduce((sum, value) => sum + value * value, 0) / COUNT - mean ** 2;
  // Five standard errors of each; bf16 rounds towards zero, by 1/256 of a value at most.
  assert.ok(Math.abs(mean) < 5 * Math.sqrt(1 / 3 / COUNT) + 0.004 * Math.abs(centre / spread), `${type}: mean ${mean}`);
  assert.ok(Math.abs(variance - 1 / 3) < 5 * Math.sqrt(4 / 45 / COUNT) + 0.004, `${type}: variance ${variance}`);
  for (let lag = 1; lag <= 4; lag++) {
    const product = all.slice(lag).reduce((sum, value, i) => sum + value * all[i]!, 0) / COUNT;
    assert.ok(Math.abs(product) < 5 / 3 / Math.sqrt(COUNT) + mean ** 2, `${type}: values ${lag} apart are alike`);
  }
}

testOnBackends("fill() spreads f32, bf16 and f16 evenly about a centre", async ({ open }) => {
  using backend = await open();
  for (const values of [{ seed: 1, spread: 0.05, centre: 0 }, { seed: 2 ** 32 - 1, spread: 0.25, centre: 1 }]) {
    for (const type of ["f32", "bf16", "f16"] as const) {
      assertEven(decode(type, await filled(backend, type, values)), values, type);
    }
  }
});

testOnBackends("fill() draws every code of f8_e4m3 but NaN", async ({ open }) => {
  using backend = await open();
  const counts = new Uint32Array(256);
  for (const code of new Uint8Array(await filled(backend, "f8_e4m3", { seed: 3, spread: 1, centre: 0 }))) {
    counts[code]!++;
  }
  assert.deepEqual([counts[0x7f], counts[0xff]], [0, 0]);
  // 600 of each are expected, and 1200 of what stands in for NaN.
  const stray = [...counts.keys()].filter((code) => (code & 0x7f) < 0x7e && Math.abs(counts[code]! - 600) > 150);
  assert.deepEqual(stray, []);
});

testOnBackends("fill() draws every code of q8 but -128, and every one of q4", async ({ open }) => {
  using backend = await open();
  const counts = { q8: new Uint32Array(256), q4: new Uint32Array(16) };
  for (const byte of new Uint8Array(await filled(backend, "q8", { seed: 4, spread: 1, centre: 0 }))) counts.q8[byte]!++;
  for (const byte of new Uint8Array(await filled(backend, "q4", { seed: 5, spread: 1, centre: 0 }))) {
    counts.q4[byte & 15]!++;
    counts.q4[byte >> 4]!++;
  }
  assert.equal(counts.q8[0x80], 0);
  // 600 are expected of each, but of -127, which stands in for -128; of q4 9600 each.
  const stray = [...counts.q8.keys()].filter((code) => code >> 1 !== 0x40 && Math.abs(counts.q8[code]! - 600) > 150);
  assert.deepEqual(stray, []);
  assert.deepEqual([...counts.q4].filter((count) => Math.abs(count - 9600) > 500), []);
});

testOnBackends("fill() gives the same values for the same seed only", async ({ open }) => {
  using backend = await open();
  const values = { seed: 7, spread: 1, centre: 0 };
  for (const type of ["f32", "bf16", "f16", "f8_e4m3", "q8", "q4"] as const) {
    const first = await filled(backend, type, values);
    assert.deepEqual(await filled(backend, type, values), first);
    assert.notDeepEqual(await filled(backend, type, { ...values, seed: 8 }), first);
  }
});

testOnBackends("fill() refuses indices", async ({ open }) => {
  using backend = await open();
  const tensor = backend.tensor("ids", "u32", [4]);
  await assert.rejects(backend.fill(tensor, { seed: 1, spread: 1, centre: 0 }), TypeError);
});

testOnGpu("fill() gives a tensor in parts the values that it has in one piece", async () => {
  const values = { seed: 9, spread: 1, centre: 0 };
  const all: ArrayBuffer[] = [];
  for (const maxBindingBytes of [2 ** 27, 512 * 100 * ELEMENT_BYTES.bf16]) {
    using backend = await WebGpuBackend.open({ gpu: GPU, maxBindingBytes });
    all.push(await filled(backend, "bf16", values));
  }
  assert.deepEqual(all[1], all[0]);
});

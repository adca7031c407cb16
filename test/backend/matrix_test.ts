/** Products on matrix units: those of what is rounded to f16, near the exact ones, and a row's alone whatever is beside it. */
import { strict as assert } from "node:assert";
import { matricesOf, MATRIX_FEATURE } from "../../src/backend/webgpu/matrices.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { CASES, checkCase } from "./cases.ts";
import { MATRIX_CASES } from "./matrix_cases.ts";
import { matrixDevice, testOnMatrices } from "./matrix_device.ts";
import { IN_LOUD_ATTENTION, IN_MATRIX, IN_MATRIX_ATTENTION } from "./matrix_planted.ts";
import { halvedProduct } from "./matrix_reference.ts";
import { isSeen } from "./planted.ts";
import { SharedDevice } from "./shared_device.ts";

const ROUNDED = { product: halvedProduct };

/** Of both factors a half of an f16's last bit at most is lost, 2^-10 of a product, and a norm behind it may lose more. */
const NEAR = { tolerance: 2 ** -9 };

testOnMatrices("products on matrix units are those of what is rounded to f16", async () => {
  using backend = await WebGpuBackend.open({ gpu: "dawn", device: await matrixDevice() });
  for (const opCase of MATRIX_CASES) await checkCase(backend, opCase, {}, ROUNDED);
});

/** Cases that end with a product, or with attention to keys among which none stands out: what scores lose would grow with them. */
const MODERATE = /^(project|projectAdd|gateUp|experts|softmaxAttention(?!.*loud)) /;

/** And for keys that do, with scores of hundreds. */
const LOUD = { tolerance: 2 ** -4 };
const STANDS_OUT = /^softmaxAttention .*loud/;

testOnMatrices("products on matrix units are near the float64 loops, and not exact", async () => {
  using backend = await WebGpuBackend.open({ gpu: "dawn", device: await matrixDevice() });
  for (const opCase of CASES.filter(({ name }) => MODERATE.test(name))) await checkCase(backend, opCase, {}, NEAR);
  for (const opCase of CASES.filter(({ name }) => STANDS_OUT.test(name))) {
    await checkCase(backend, opCase, {}, LOUD);
  }
  // Its rows are of any values, so that they must have been rounded.
  const opCase = MATRIX_CASES.find(({ name }) => name.startsWith("matrix projectAdd"))!;
  await assert.rejects(checkCase(backend, opCase), assert.AssertionError);
});

testOnMatrices("an error planted in any kernel for matrix units fails a case", async () => {
  using shared = new SharedDevice(await matrixDevice());
  const searches = [
    ...IN_MATRIX.map((error) => ({ error, cases: MATRIX_CASES, standard: ROUNDED })),
    ...IN_MATRIX_ATTENTION.map((error) => ({ error, cases: CASES, standard: NEAR })),
    { error: IN_LOUD_ATTENTION, cases: CASES.filter(({ name }) => STANDS_OUT.test(name)), standard: LOUD },
  ];
  const unseen: string[] = [];
  for (const { error, ...search } of searches) {
    if (await isSeen(shared, error, { gpu: "dawn", ...search })) continue;
    unseen.push(`${error.kernel}: "${error.right}" → "${error.wrong}"`);
  }
  assert.deepEqual(unseen, []);
});

/** An adapter's description, and a device of it that grants these features. */
function described(features: readonly string[], info: object): [GPUDevice, GPUAdapterInfo] {
  const device = {
    features: new Set(features),
    limits: { maxStorageBuffersPerShaderStage: 16, maxComputeWorkgroupStorageSize: 49152 },
  };
  return [device as unknown as GPUDevice, info as GPUAdapterInfo];
}

const ALL = ["subgroups", "shader-f16", MATRIX_FEATURE];
const SUMS_IN_F16 = { componentType: "f16", resultComponentType: "f16", M: 16, N: 16, K: 16 };
const INFO = {
  ...{ subgroupMinSize: 32, subgroupMaxSize: 32 },
  subgroupMatrixConfigs: [SUMS_IN_F16, { ...SUMS_IN_F16, resultComponentType: "f32", N: 8 }],
};

Deno.test("a device has matrix units if it sums up in f32 and its subgroups are of one size", () => {
  assert.deepEqual(matricesOf(...described(ALL, INFO)), { m: 16, n: 8, k: 16, subgroup: 32 });
  for (const feature of ALL) {
    assert.equal(matricesOf(...described(ALL.filter((each) => each !== feature), INFO)), null);
  }
  assert.equal(matricesOf(...described(ALL, { ...INFO, subgroupMinSize: 8 })), null);
  assert.equal(matricesOf(...described(ALL, { ...INFO, subgroupMatrixConfigs: [SUMS_IN_F16] })), null);
});

/** That tests with another provider's GPUs are all that compute on one: none has its provider from elsewhere. */
import { strict as assert } from "node:assert";
import { findGpuTests } from "./gpu_tests.ts";

/** What is about one provider or another in particular. */
const ABOUT_THEM = /^test\/(alone|backend\/wgpu_native|dawn)\/|^test\/(load\/measured_providers|wgpu_native)_test\.ts$/;

/** What opens a GPU, or may. */
const OPENS =
  /\b(load|openEngine|openProvider|Device\.open|WebGpuBackend\.open|deviceKey|timeKernels|Tuning\.of)\([^)]*/g;

/** WASM, matrix units, which Dawn alone has, or the stages of a pool. */
const ELSEWHERE = /backend: "wasm"|gpu: "dawn"|pool: \{/;

/** A provider that something is opened with, by its name. */
const NAMED = /(\bgpu: |\()"(deno|wgpu-native)\b/;

const { onGpu, others } = await findGpuTests();

const textOf = (file: string) => Deno.readTextFileSync(new URL(`../${file}`, import.meta.url));
const openings = (file: string): string[] => textOf(file).match(OPENS) ?? [];

Deno.test("what computes on a GPU goes by the provider that is tested", () => {
  assert.ok(onGpu.includes("test/backend/webgpu_test.ts") && onGpu.includes("test/ring_nano_test.ts"));
  assert.ok(onGpu.includes("test/engine/same_bits_test.ts"), "which has its GPU from another file");
  assert.deepEqual(onGpu.filter((file) => !ABOUT_THEM.test(file) && NAMED.test(textOf(file))), []);
});

Deno.test("what could compute on a GPU and goes by no provider is about them, or computes elsewhere and says so", () => {
  assert.ok(others.flatMap(openings).length > 5);
  const strays = others.filter((file) => !ABOUT_THEM.test(file))
    .filter((file) => openings(file).some((call) => !ELSEWHERE.test(call)));
  assert.deepEqual(strays, []);
});

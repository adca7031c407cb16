/** Kernels out of text: what is parsed, how compile errors read, and the catalogue's rules. */
import { strict as assert } from "node:assert";
import { assemble, SHADERS } from "../../shaders/mod.ts";
import { Device } from "../../src/backend/webgpu/device.ts";
import { Kernels, parseBindings, parseParams } from "../../src/backend/webgpu/kernel.ts";
import { Memory } from "../../src/backend/webgpu/memory.ts";
import { GPU, testOnGpu } from "../gpu.ts";

Deno.test("parseBindings() and parseParams() read a kernel's declarations in order", () => {
  const text = `
    struct Params {
      columns: u32, // K / 4: columns
      epsilon: f32,
    }
    @group(0) @binding(2) var<storage, read_write> out: array<f32>; // [T]
    @group(0) @binding(0) var<uniform> params: Params;
    @group(0) @binding(1) var<storage, read> x: array<vec4f>; // [T]`;
  assert.deepEqual(parseBindings(text), [
    { index: 0, name: "params", type: "uniform" },
    { index: 1, name: "x", type: "read-only-storage" },
    { index: 2, name: "out", type: "storage" },
  ]);
  assert.deepEqual(parseParams(text), [{ name: "columns", type: "u32" }, { name: "epsilon", type: "f32" }]);
});

Deno.test("every shader says what it computes, how its work is shared, and the shape of each binding", () => {
  for (const { name, text } of Object.values(SHADERS)) {
    const head = text.slice(0, text.indexOf("\n\n"));
    assert.match(head, /^(\/\/ .*\n)+\/\/ .*$/, name);
    assert.match(head, /^\/\/ One (workgroup of LANES per|thread)/m, name);
    for (const line of text.split("\n").filter((line) => line.includes("var<storage"))) {
      assert.match(line, /; \/\/ \[.+\]/, `${name}: ${line}`);
    }
  }
});

/**
 * Only where a device binds so many: others sort the choices of few rows too and choose before they read (decode_experts.ts), compute
 * one map at a time (decode_products.ts, batch_products.ts), append before they attend to one block after the other (unit_attention.ts),
 * use the kernels for GPUs (software_products.ts), and do without matrix units (matrices.ts).
 */
const MORE_BUFFERS = new Map([
  ["own_row_attention", 9],
  ["own_row_of_blocks", 23],
  ["attention_of_blocks", 20],
  ["batch_gate_up", 8],
  ["batch_product", 10],
  ["matrix_gate_up", 9],
  ["decode_chosen_gate_up", 17],
  ...["decode_down", "decode_gate_up", "decode_pair"].map((name) => [name, 14] as const),
  ...["software_down", "software_experts", "software_gate_up", "software_linear_layer", "software_product"].map((
    name,
  ) => [name, 14] as const),
]);

/** From where on parts number what they bind. */
const OF_PARTS = 20;

Deno.test("every shader stays within the 8 storage buffers that any device binds, or is left out where there are fewer", () => {
  for (const shader of Object.values(SHADERS)) {
    const variant = {
      enables: [],
      subgroups: false,
      weight: "f32",
      shared: "alike",
      cache: "f32",
      constants: {},
    } as const;
    const bindings = parseBindings(assemble(shader, variant));
    const own = bindings.filter(({ index }) => index < OF_PARTS);
    assert.deepEqual(own.map(({ index }) => index), own.map((_, i) => i), shader.name);
    assert.equal(new Set(bindings.map(({ index }) => index)).size, bindings.length, shader.name);
    const most = MORE_BUFFERS.get(shader.name) ?? 8;
    assert.ok(bindings.filter(({ type }) => type !== "uniform").length <= most, shader.name);
  }
});

const BROKEN = { name: "broken", text: "@compute @workgroup_size(1)\nfn main() { let x = missing; }", parts: [] };

testOnGpu("a kernel that does not compile fails with its name and the line", async () => {
  using device = await Device.open({ gpu: GPU });
  new Kernels(device, new Memory(device)).get(BROKEN, {});
  await assert.rejects(device.settled(), (error: Error) => {
    assert.match(error.message, /^Cannot compile the kernel broken: .*missing/s);
    assert.match(error.message, /fn main\(\) \{ let x = missing; \}/);
    return true;
  });
});

testOnGpu("a kernel is compiled once for each text, and refuses to be bound without a name of its text", async () => {
  using device = await Device.open({ gpu: GPU });
  const memory = new Memory(device);
  const kernels = new Kernels(device, memory);
  const constants = { LANES: device.lanes, OUTPUTS: false };
  const kernel = kernels.get(SHADERS.rmsNorm, constants);
  assert.equal(kernels.get(SHADERS.rmsNorm, constants), kernel);
  assert.notEqual(kernels.get(SHADERS.rmsNorm, { ...constants, OUTPUTS: true }), kernel);
  const buffer = memory.buffer("any", 64);
  const buffers = { step: buffer, hidden: buffer, weight: buffer };
  const params = { columns: 1, epsilon: 0 };
  // @ts-expect-error: "normed" is missing
  assert.throws(() => kernel.bind(buffers, params), {
    name: "TypeError",
    message: 'Cannot bind the kernel rms_norm: its buffer "normed" is missing',
  });
  // @ts-expect-error: "epsilon" is missing
  assert.throws(() => kernel.bind({ ...buffers, normed: memory.buffer("other", 64) }, { columns: 1 }), {
    message: 'Cannot bind the kernel rms_norm: its parameter "epsilon" is missing',
  });
  await device.settled();
});

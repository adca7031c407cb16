/** Slices copied before and after a plan, between tensors that are split in other places. */
import { strict as assert } from "node:assert";
import type { Backend, Read } from "../../src/backend/backend.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { BACKENDS, testOnBackends } from "./backends.ts";

/** Three rows of 16 bytes in a part, where slices have five. */
const PART_BYTES = 48;

const open = (name: string): Promise<Backend> =>
  name === "webgpu" ? WebGpuBackend.open({ gpu: "deno", maxBindingBytes: PART_BYTES }) : BACKENDS[0]!.open();

testOnBackends("run() copies slices in order, before the operations and after them", async ({ name }) => {
  using backend = await open(name);
  const a = backend.tensor("a", "f32", [3, 5, 4]);
  const b = backend.tensor("b", "f32", [2, 5, 4]);
  const hidden = backend.tensor("hidden", "f32", [1, 4]);
  const values = (first: number) => Float32Array.from({ length: 20 }, (_, i) => first + i);
  await backend.write(a, 20, new Uint8Array(values(100).buffer));
  const plan = backend.record({ rows: 1, segments: 1, outputs: 0 }, (ops) => ops.receive(hidden));
  const step = { segments: [{ slot: 0, start: 0, rows: 1 }], outputs: new Uint32Array(), rows: values(0).slice(0, 4) };
  const reads: Read[] = [{ tensor: a, elements: 60 }, { tensor: b, elements: 40 }];
  const read = async (copies: object) =>
    (await backend.run(plan, { ...step, ...copies }, reads)).map((all) => [...new Float32Array(all)]);
  const zeros = Array(20).fill(0);
  const full = [...values(100)];
  for (let i = 0; i < 3; i++) assert.deepEqual(await read({}), [[...zeros, ...full, ...zeros], [...zeros, ...zeros]]);
  const before = [{ from: { tensor: a, index: 1 }, to: { tensor: b, index: 1 } }];
  const after = [{ from: { tensor: b, index: 1 }, to: { tensor: a, index: 2 } }];
  assert.deepEqual(await read({ before, after }), [[...zeros, ...full, ...full], [...zeros, ...full]]);
  await backend.write(a, 0, new Uint8Array(new Float32Array(60).buffer));
  const cleared = [[...zeros, ...zeros, ...zeros], [...zeros, ...full]];
  for (let i = 0; i < 3; i++) assert.deepEqual(await read({}), cleared, "and not again");
});

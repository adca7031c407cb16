/** Weights on their way to a device: in the order of the files, reading ahead, and what arrives wrong is noticed. */
import { strict as assert } from "node:assert";
import type { Tensor } from "../../src/backend/tensor.ts";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { Memory } from "../../wasm/memory.ts";
import { type KernelsExports, url } from "../../wasm/kernels.ts";
import { rowRanges, type Transfer, WeightStream } from "../../src/model/weight_stream.ts";

/** Notes the labels that are written, and spoils one byte of one of them. */
class SpoilingBackend extends WasmBackend {
  readonly written: string[] = [];

  constructor(memory: Memory<KernelsExports>, readonly spoilt: string | null) {
    super(memory);
  }

  static async spoiling(label: string | null): Promise<SpoilingBackend> {
    return new SpoilingBackend(await Memory.load<KernelsExports>(url, true), label);
  }

  override write(tensor: Tensor, offset: number, bytes: Uint8Array): Promise<void> {
    this.written.push(tensor.label);
    const spoilt = bytes.slice();
    if (tensor.label === this.spoilt) spoilt[spoilt.length - 1]! ^= 4;
    return super.write(tensor, offset, spoilt);
  }
}

/** A transfer of 8 bytes of `shard` from `begin` on into a tensor of its own, named after them. */
function transfer(backend: SpoilingBackend, shard: string, begin: number): Transfer {
  const tensor = backend.tensor(`${shard} ${begin}`, "f32", [2]);
  const read = (buffer: Uint8Array<ArrayBuffer>) => {
    const bytes = buffer.subarray(0, 8).fill(begin + 1);
    return Promise.resolve([{ tensor, offset: 0, bytes }]);
  };
  return { shard, begin, bytes: 8, read };
}

Deno.test("run() goes through the files in their order, and says how far it is", async () => {
  using backend = await SpoilingBackend.spoiling(null);
  const loaded: number[] = [];
  const stream = new WeightStream(backend, (bytes) => loaded.push(bytes));
  for (const [shard, begin] of [["b", 0], ["a", 8], ["b", 100], ["a", 0], ["b", 20]] as const) {
    stream.add(transfer(backend, shard, begin));
  }
  await stream.run();
  assert.deepEqual(backend.written, ["a 0", "a 8", "b 0", "b 20", "b 100"]);
  assert.deepEqual(loaded, [8, 16, 24, 32, 40]);
  await stream.verify();
});

Deno.test("run() reads the next slice while it writes one, into another buffer", async () => {
  using backend = await SpoilingBackend.spoiling(null);
  const events: string[] = [];
  const stream = new WeightStream(backend, (bytes) => events.push(`wrote ${bytes / 8 - 1}`));
  const buffers: Uint8Array[] = [];
  for (let i = 0; i < 4; i++) {
    const { read, ...rest } = transfer(backend, "a", i);
    stream.add({
      ...rest,
      read: (buffer) => {
        events.push(`read ${i}`);
        buffers.push(buffer);
        return read(buffer);
      },
    });
  }
  await stream.run();
  assert.deepEqual(events, ["read 0", "read 1", "wrote 0", "read 2", "wrote 1", "read 3", "wrote 2", "wrote 3"]);
  assert.notEqual(buffers[0], buffers[1]);
  assert.deepEqual([buffers[0], buffers[1]], [buffers[2], buffers[3]]);
  await stream.verify();
});

Deno.test("run() does not write what was read to its place, and compares it all the same", async () => {
  using backend = await SpoilingBackend.spoiling(null);
  const stream = new WeightStream(backend, () => {});
  const tensor = backend.tensor("a", "f32", [4]);
  const bytes = backend.inPlace(tensor, 2, 8);
  stream.add({
    ...{ shard: "a", begin: 0, bytes: 8 },
    read: () => Promise.resolve([{ tensor, offset: 2, bytes: bytes.fill(5), inPlace: true }]),
  });
  await stream.run();
  assert.deepEqual(backend.written, []);
  const [held] = await backend.read([{ tensor, elements: 4 }]);
  assert.deepEqual([...new Uint8Array(held!)], [...Array(8).fill(0), ...Array(8).fill(5)]);
  bytes[7] = 6;
  await assert.rejects(stream.verify(), { message: /a does not read back as it was written/ });
  assert.throws(() => backend.inPlace(tensor, 3, 8), { message: "Cannot write 'a' up to byte 20: it has 16" });
});

Deno.test("run() rejects with the reason of a slice that cannot be read", async () => {
  using backend = await SpoilingBackend.spoiling(null);
  const stream = new WeightStream(backend, () => {});
  stream.add(transfer(backend, "a", 0));
  stream.add({ shard: "a", begin: 8, bytes: 8, read: () => Promise.reject(new Error("the disk is gone")) });
  await assert.rejects(stream.run(), { message: "the disk is gone" });
  assert.deepEqual(backend.written, ["a 0"]);
});

for (const spoilt of [0, 40, 99]) {
  Deno.test(`verify() names the tensor that does not hold what was written, here of slice ${spoilt} of 100`, async () => {
    using backend = await SpoilingBackend.spoiling(`a ${spoilt}`);
    const stream = new WeightStream(backend, () => {});
    for (let i = 0; i < 100; i++) {
      // Sixteen slices are sampled; those before and after the spoilt one are as large as a sixteenth.
      stream.add({ ...transfer(backend, "a", i), bytes: Math.abs(i - spoilt) === 1 ? 800 : 8 });
    }
    await stream.run();
    await assert.rejects(stream.verify(), {
      message: `Cannot use CPU (WASM SIMD): a ${spoilt} does not read back as it was written; ` +
        "the device's memory or its driver is faulty",
    });
  });
}

Deno.test("rowRanges() covers all rows once", () => {
  assert.deepEqual([...rowRanges(5, 2)].map(({ firstRow, rows }) => [firstRow, rows]), [[0, 2], [2, 2], [4, 1]]);
  assert.deepEqual([...rowRanges(0, 2)], []);
});

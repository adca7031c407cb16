import assert from "node:assert/strict";
import { openFile } from "../../src/formats/source.ts";
import { folderOf } from "./tiny_checkpoint.ts";

const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);

Deno.test("openFile() reads any range, many at once", { sanitizeResources: true }, async () => {
  await using folder = await folderOf({ "data": bytes });
  using source = await openFile(`${folder.path}/data`);
  assert.equal(source.size, bytes.length);
  const ranges = Array.from({ length: 200 }, (_, i) => [i * 499, (i * 37) % 450] as const);
  const reads = await Promise.all(ranges.map(([offset, length]) => source.read(offset, length)));
  for (const [i, [offset, length]] of ranges.entries()) {
    assert.deepEqual(reads[i], bytes.slice(offset, offset + length));
  }
  assert.deepEqual(await source.read(0, bytes.length), bytes);
  assert.equal((await source.read(bytes.length, 0)).length, 0);
});

Deno.test(
  "Source.read() refuses ranges outside the file and goes on working",
  { sanitizeResources: true },
  async () => {
    await using folder = await folderOf({ "data": bytes });
    using source = await openFile(`${folder.path}/data`);
    const outside = assert.rejects(source.read(99_990, 11), {
      name: "RangeError",
      message: `Cannot read 11 bytes at 99990 of ${source.name}: it has 100000 bytes`,
    });
    const after = source.read(99_990, 10);
    await outside;
    assert.deepEqual(await after, bytes.slice(99_990));
    await assert.rejects(source.read(-1, 1), /Cannot read 1 bytes at -1 of .*: both must be whole numbers/);
    await assert.rejects(source.read(0, 0.5), /both must be whole numbers/);
  },
);

Deno.test("Source.read() says so when the file is cut while in use", { sanitizeResources: true }, async () => {
  await using folder = await folderOf({ "data": bytes });
  using source = await openFile(`${folder.path}/data`);
  await Deno.truncate(source.name, 50);
  await assert.rejects(source.read(40, 20), {
    name: "CheckpointError",
    message: `Cannot read 20 bytes at 40 of ${source.name}: it was cut to 50 bytes while in use`,
  });
});

Deno.test("openFile() refuses folders, and reports files that are not there", { sanitizeResources: true }, async () => {
  await using folder = await folderOf({});
  await assert.rejects(openFile(folder.path), {
    name: "CheckpointError",
    message: `Cannot read ${folder.path} as a file: it is a folder, a pipe or a device`,
  });
  await assert.rejects(openFile(`${folder.path}/none`), Deno.errors.NotFound);
});

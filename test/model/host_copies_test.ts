/** States and pages that went to the host's memory and came back: the same bytes, in other places, and what cannot be done said so. */
import { strict as assert } from "node:assert";
import type { Backend, Read } from "../../src/backend/backend.ts";
import type { Segment } from "../../src/pipeline/steps.ts";
import { HostCopies } from "../../src/model/host_copies.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import { testOnBackends } from "../backend/backends.ts";
import { Stages } from "./stages.ts";
import { openTiny } from "./tiny.ts";

const PAGE = 256;
const NOTHING = new Uint32Array();

testOnBackends("HostCopies writes to other places what it read, byte for byte", async ({ open }) => {
  using backend: Backend = await open();
  const wide = backend.tensor("wide", "f32", [3, 2 ** 19 + 4]); // so that they are not read all at once
  const half = backend.tensor("half", "f16", [4, 2, 6]);
  const bytes = new Uint8Array(3 * (2 ** 19 + 4) * 4).map((_, i) => i % 251);
  await backend.write(wide, 0, bytes);
  await backend.write(half, 0, bytes.subarray(7, 7 + 4 * 24));
  const copies = new HostCopies(backend);
  const places = (...indices: number[]) => indices.map((index, i) => ({ tensor: i === 2 ? half : wide, index }));
  await copies.store(5, places(0, 1, 3));
  await copies.store(6, places(2, 2, 0));
  await copies.store(6, places(1, 0, 1));
  await copies.load(5, places(2, 0, 0));
  const reads: Read[] = [{ tensor: wide, elements: 3 * (2 ** 19 + 4) }, { tensor: half, elements: 48 }];
  const [wides, halves] = (await backend.read(reads)).map((all) => Buffer.from(all));
  const row = (2 ** 19 + 4) * 4;
  const [a, b] = [bytes.subarray(0, row), bytes.subarray(row, 2 * row)];
  assert.ok(wides!.equals(Buffer.concat([b, b, a])));
  assert.ok(halves!.equals(Buffer.concat([bytes.subarray(7 + 72, 7 + 96), bytes.subarray(7 + 24, 7 + 96)])));
  await copies.load(6, places(2, 0, 2));
  assert.ok(Buffer.from((await backend.read(reads))[0]!).equals(Buffer.concat([a, b, b])), "the second of that number");
  await assert.rejects(copies.load(7, places(0)), new RangeError("Cannot load copy 7 from memory: there is none"));
});

testOnBackends("layers go on from pages in f16 and states that were loaded", async ({ open }) => {
  const { folder } = await openTiny("base");
  const { hidden } = await loadConfig(folder);
  const layers = [{ start: 1, end: 3 }]; // a linear one and a softmax one
  /** As if the device said how long it worked. */
  const timed = async () => Object.defineProperty(await open(), "gpuMillis", { value: 5 });
  using stages = await Stages.open(folder, timed, { layers, slots: 2, snapshots: 2, context: 1024, kvCache: "f16" });
  const model = stages.models[0]!;
  /** Bits of the last row. */
  const run = async (segment: Segment, seed: number) => {
    const { start, rows } = segment;
    const given = Float32Array.from({ length: rows * hidden }, (_, i) => Math.sin(seed + start + i * i % 101));
    const out = await model.forward({ id: 0, segments: [segment], outputs: new Uint32Array() }, given);
    return new Uint32Array((out as Float32Array).buffer).slice(-hidden).join();
  };
  const read = async (slot: number, seed: number, keep?: number) => {
    await run({ slot, start: 0, rows: PAGE }, seed);
    await run({ slot, start: PAGE, rows: PAGE, ...(keep !== undefined && { keep }) }, seed);
  };
  const load = (segment: Segment, pages: readonly number[], state: number | null) =>
    model.forward({ id: 0, segments: [segment], outputs: new Uint32Array(), load: { pages, state } }, NOTHING);
  const next = { slot: 1, start: 2 * PAGE, rows: 3 };
  await read(0, 1, 1);
  const expected = await run({ ...next, slot: 0 }, 1);
  await model.store({ snapshot: 1, pages: [[0, 3], [1, 0]], state: null });
  await model.store({ snapshot: 1, pages: [], state: 2 });
  await read(1, 2, 1);
  assert.notEqual(await run(next, 1), expected);
  await load({ slot: 1, start: 0, rows: PAGE }, [3], null);
  await load({ slot: 1, start: PAGE, rows: PAGE, keep: 0 }, [0], 2);
  assert.equal(model.gpuMillis, null, "nothing was computed");
  assert.equal(await run(next, 1), expected);
  assert.equal(model.gpuMillis, 5);
  assert.equal(await run({ ...next, slot: 0, from: 0 }, 1), expected, "it was kept as a snapshot, too");
  await assert.rejects(
    model.store({ snapshot: 0, pages: [[2, 0]], state: null }),
    new RangeError("Cannot copy page 2 of snapshot 0: it keeps none"),
  );
  await assert.rejects(
    load({ slot: 0, start: 0, rows: PAGE }, [3], 9),
    new RangeError("Cannot load copy 9 from memory: there is none"),
  );
  await assert.rejects(load({ slot: 0, start: PAGE, rows: PAGE, from: 1 }, [3], 2), /which was kept at 512/);
});

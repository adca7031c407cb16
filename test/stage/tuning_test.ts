/** Choices by measurement: noise does not decide, the smallest good chunk wins, and nothing is measured twice. */
import { strict as assert } from "node:assert";
import { loadConfig } from "../../src/model/load_config.ts";
import { bestChunk, CHUNKS, timeChunks } from "../../src/stage/chunk_rows.ts";
import { type Measure, Tuning } from "../../src/stage/tuning.ts";
import { GPU, testOnGpu } from "../gpu.ts";
import { openTiny } from "../model/tiny.ts";

const at = (choice: number, rowsPerMilli: number) => ({ choice, millis: choice / rowsPerMilli });

Deno.test("bestChunk() is the smallest that loses no more than 5 %", () => {
  assert.equal(bestChunk([at(512, 100), at(1024, 100), at(2048, 100)]), 512);
  assert.equal(bestChunk([at(512, 80), at(1024, 96), at(2048, 100)]), 1024);
  assert.equal(bestChunk([at(512, 80), at(1024, 94), at(2048, 100)]), 2048);
  assert.equal(bestChunk([at(512, 100), at(1024, 80), at(2048, 70)]), 512);
  assert.equal(bestChunk([at(1024, 1)]), 1024);
  assert.equal(bestChunk([]), CHUNKS[0], "where there was no time for any");
});

testOnGpu("timeChunks() times steps of each size, on a layer with experts or the only one", async () => {
  const config = await loadConfig((await openTiny("base")).folder);
  for (const { layers, firstDense } of [{ layers: 6, firstDense: 1 }, { layers: 6, firstDense: 0 }]) {
    const timings = await timeChunks({ ...config, layers, firstDense }, { gpu: GPU, quantize: "none" }, [8, 4]);
    assert.deepEqual(timings.map(({ choice }) => choice), [8, 4]);
    assert.ok(timings.every(({ millis }) => millis > 0), JSON.stringify(timings));
  }
});

testOnGpu("Tuning measures the kernels once, and anew when asked to", async () => {
  const folder = await Deno.makeTempDir();
  const kernels = async (measure: Measure, file: string | null = `${folder}/devices.json`) =>
    await (await Tuning.of(GPU, file, measure))!.kernels();
  try {
    assert.equal(await kernels("nothing"), null);
    const first = await kernels("missing");
    assert.equal(typeof first?.chosen.subgroups, "boolean");
    assert.ok(first!.timings.some(({ choice }) => JSON.stringify(choice) === JSON.stringify(first!.chosen)));
    assert.deepEqual(await kernels("missing"), first);
    assert.deepEqual(await kernels("nothing"), first);
    const again = await kernels("everything");
    assert.notEqual(again!.measured, first!.measured);
    assert.deepEqual(await kernels("nothing"), again);
    assert.notEqual(await kernels("missing", null), null, "without a file, each time");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The forward pass on matrix units, which round to f16 what they multiply: near the reference, and the same however it is cut. */
import { strict as assert } from "node:assert";
import { loadConfig } from "../../src/model/load_config.ts";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { matrixDevice, testOnMatrices } from "../backend/matrix_device.ts";
import { MODEL } from "../golden.ts";
import { cut, distance, Stages } from "./stages.ts";
import { openTiny } from "./tiny.ts";

/** In units of the largest |logit|. */
const BOUND = 3e-3;

const open = async () => await WebGpuBackend.open({ gpu: "dawn", device: await matrixDevice() });

testOnMatrices(
  "forward() on matrix units stays close to the reference's logits, and 1 and 2 stages agree",
  async () => {
    const { folder, tokens, logits } = await openTiny("base");
    const { layers } = await loadConfig(folder);
    const all: Float32Array[] = [];
    for (const stages of [1, 2]) {
      using model = await Stages.open(folder, open, { layers: cut(layers, stages) });
      all.push(await model.logits(tokens, [1000]));
    }
    const far = distance(all[0]!, await logits("serving"));
    assert.ok(far <= BOUND, `off by ${far}`);
    assert.ok(far > 1e-6, `off by ${far} only, so nothing was rounded`);
    assert.deepEqual(all[1], all[0]);
  },
);

/** Largest |difference| of each row, in units of its largest |expected|, ascending. */
function distances(actual: Float32Array, expected: Float32Array, rows: number): number[] {
  const size = expected.length / rows;
  const row = (values: Float32Array, i: number) => values.subarray(i * size, (i + 1) * size);
  return Array.from({ length: rows }, (_, i) => distance(row(actual, i), row(expected, i))).sort((a, b) => a - b);
}

/** The likeliest token of each row. */
function likeliest(logits: Float32Array, rows: number): number[] {
  const size = logits.length / rows;
  return Array.from({ length: rows }, (_, i) => {
    const row = logits.subarray(i * size, (i + 1) * size);
    return row.indexOf(Math.max(...row));
  });
}

testOnMatrices("ring-nano on matrix units has nearly its logits, and the same likeliest tokens", async () => {
  const { prompts } = JSON.parse(await Deno.readTextFile(`${MODEL}-golden.json`));
  const { prompt_ids, greedy_ids } = prompts[0];
  const tokens = Uint32Array.of(...prompt_ids, ...greedy_ids);
  const all: Float32Array[] = [];
  for (const backend of [() => WasmBackend.open(), open]) {
    using model = await Stages.open(MODEL, backend, {});
    all.push(await model.logits(tokens, [1000]));
  }
  const [exact, rounded] = all as [Float32Array, Float32Array];
  const far = distances(rounded, exact, tokens.length);
  // Of the others a router may have been undecided.
  const most = far[Math.floor(0.9 * far.length)]!;
  assert.ok(most <= BOUND, `nine of ten rows are off by up to ${most}`);
  assert.deepEqual(likeliest(rounded, tokens.length), likeliest(exact, tokens.length));
});

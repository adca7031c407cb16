import { strict as assert } from "node:assert";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import { readF32 } from "../../src/formats/quantization.ts";
import { storedWeight } from "../../src/formats/stored_weight.ts";
import { expectedTensors } from "../../src/model/tensor_names.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import type { Quantize } from "../../src/pipeline/messages.ts";
import { convert } from "../../src/stage/convert.ts";
import { modelSize } from "../../src/stage/model_size.ts";
import { distance, Stages } from "../model/stages.ts";

const RING_NANO = new URL("../../models/ring-nano", import.meta.url).pathname;
const TINY_FP8 = new URL("../data/tiny/fp8", import.meta.url).pathname;
const TOKENS = Uint32Array.from({ length: 40 }, (_, i) => (i * 977 + 5) % 4000);

/** A path in a folder of its own that goes away with its scope. */
async function temporary(): Promise<{ readonly out: string; readonly folder: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "ringlet-convert-" });
  return { folder, out: `${folder}/out`, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

/** Logits of TOKENS, in pieces that take every path of the kernels. */
async function logits(folder: string, quantize: Quantize): Promise<Float32Array> {
  using stages = await Stages.open(folder, () => WasmBackend.open(), { quantize });
  return await stages.logits(TOKENS, [13, 1, 2]);
}

for (const to of ["q8", "q4"] as const) {
  Deno.test(`a model converted to ${to} gives the same bits as the one that is quantized on load`, async () => {
    await using at = await temporary();
    const heard: number[] = [];
    const { bytes, sourceBytes, shards } = await convert({
      ...{ model: RING_NANO, to, out: at.out },
      onProgress: (done, total) => heard.push(done / total),
    });
    assert.deepEqual([shards, heard.at(-1), heard.toSorted((a, b) => a - b)], [1, 1, heard]);
    const [converted, onLoad, plain] = [
      await logits(at.out, "none"),
      await logits(RING_NANO, to),
      await logits(RING_NANO, "none"),
    ];
    assert.deepEqual(converted, onLoad);
    assert.ok(distance(onLoad, plain) > 1e-3, "nothing was rounded");
    assert.deepEqual(await logits(at.out, to), onLoad, "what is quantized already stays as it is");
    using checkpoint = await openCheckpoint(at.out);
    using source = await openCheckpoint(RING_NANO);
    assert.deepEqual([checkpoint.bytes, sourceBytes], [bytes, source.bytes]);
    assert.equal((await modelSize(at.out)).weightBytes, bytes);
    assert.equal((await modelSize(RING_NANO, { quantize: to })).weightBytes, bytes);
  });
}

Deno.test("convert() brings the tokenizer along, describes its weights, and leaves no other file", async () => {
  await using at = await temporary();
  await convert({ model: RING_NANO, to: "q4", out: at.out });
  assert.deepEqual([...Deno.readDirSync(at.out)].map(({ name }) => name).sort(), [
    "config.json",
    "generation_config.json",
    "model-00001-of-00001.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  assert.deepEqual([...Deno.readDirSync(at.folder)].map(({ name }) => name), ["out"]);
  const { quantization_config, ...rest } = JSON.parse(await Deno.readTextFile(`${at.out}/config.json`));
  assert.deepEqual(quantization_config, { quant_method: "ringlet", policy: "q4", group_size: 32 });
  assert.deepEqual(rest, JSON.parse(await Deno.readTextFile(`${RING_NANO}/config.json`)));
  assert.deepEqual(
    await Deno.readFile(`${at.out}/tokenizer.json`),
    await Deno.readFile(`${RING_NANO}/tokenizer.json`),
  );
});

Deno.test("convert() copies FP8 with its scales, and rows that have no whole groups", async () => {
  await using at = await temporary();
  await convert({ model: TINY_FP8, to: "q8", out: at.out });
  const config = await loadConfig(at.out);
  assert.deepEqual(config, await loadConfig(TINY_FP8));
  using from = await openCheckpoint(TINY_FP8);
  using to = await openCheckpoint(at.out);
  const seen: Record<string, number> = {};
  for (const { name, shape } of expectedTensors(config)) {
    const [before, after] = [from, to].map((checkpoint) => storedWeight(checkpoint, name, config.weightBlock));
    const kind = `${before!.type} to ${after!.type}`;
    seen[kind] = (seen[kind] ?? 0) + 1;
    const values = await readF32(from, name, config.weightBlock);
    assert.deepEqual(await readF32(to, name, config.weightBlock), values, name);
    assert.deepEqual(after!.shape, shape);
  }
  assert.deepEqual(Object.keys(seen).sort(), ["BF16 to BF16", "F32 to F32", "F8_E4M3 to F8_E4M3"]);
});

Deno.test("convert() leaves nothing behind when it is ended, and refuses to write over anything", async () => {
  await using at = await temporary();
  const controller = new AbortController();
  const ended = convert({
    ...{ model: RING_NANO, to: "q8", out: at.out, signal: controller.signal },
    onProgress: (done, total) => done > total / 2 && controller.abort(),
  });
  await assert.rejects(ended, { name: "AbortError" });
  assert.deepEqual([...Deno.readDirSync(at.folder)], []);
  await Deno.mkdir(at.out);
  await assert.rejects(convert({ model: RING_NANO, to: "q8", out: at.out }), {
    name: "CheckpointError",
    message: `Cannot write a checkpoint to ${at.out}: it is there already`,
  });
});

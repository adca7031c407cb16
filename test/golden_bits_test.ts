/** Logits of the golden texts on another provider's GPU: the bits that Deno's own WebGPU gives. */
import { strict as assert } from "node:assert";
import { EMBEDDED_MODEL, type EngineClient, openEngine } from "../src/mod.ts";
import { DEVICE_FILE } from "./device_file.ts";
import { ALIKE, BUILT_IN, GPU, testOnGpu } from "./gpu.ts";

interface Golden {
  readonly prompts: readonly { readonly prompt_ids: readonly number[]; readonly greedy_ids: readonly number[] }[];
}

/** Rows of steps, of each size that has kernels of its own. */
const CHUNKS = [200, 20, 5, 1];

/** The bits of all logits of some tokens, by step. */
async function read(engine: EngineClient, tokens: Uint32Array): Promise<Uint32Array[]> {
  const rows = await Array.fromAsync(engine.score({ tokens, logits: true, chunks: CHUNKS }));
  return rows.map(({ logits }) => new Uint32Array(logits!.slice().buffer));
}

testOnGpu("golden texts have the logits that they have on Deno's own WebGPU, to the bit", async () => {
  const open = (gpu: typeof GPU) =>
    openEngine({ gpu, backend: "webgpu", maxContext: 1024, chunkRows: 256, deviceFile: DEVICE_FILE });
  await using other = await open(GPU);
  await using builtIn = await open(BUILT_IN);
  assert.equal(other.info.stages[0]!.device, builtIn.info.stages[0]!.device);
  const { prompts } = JSON.parse(await Deno.readTextFile(`${EMBEDDED_MODEL}-golden.json`)) as Golden;
  for (const { prompt_ids, greedy_ids } of prompts) {
    const tokens = Uint32Array.of(...prompt_ids, ...greedy_ids);
    const [actual, expected] = [await read(other, tokens), await read(builtIn, tokens)];
    assert.equal(expected.reduce((sum, { length }) => sum + length, 0), tokens.length * other.info.vocabulary);
    assert.deepEqual(actual, expected);
  }
}, ALIKE ? null : "--gpu wgpu-native compares it with Deno's own");

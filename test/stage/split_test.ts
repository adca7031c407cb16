/** How layers are shared out to memories: by all that they take, keys and values as far as there is memory for them. */
import { strict as assert } from "node:assert";
import { EMBEDDED_MODEL } from "../../src/mod.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import type { LayerRange } from "../../src/pipeline/steps.ts";
import {
  checkMemories,
  fixedBytes,
  type ShareOf,
  sharesOf,
  splitByMemory,
  type SplitOptions,
} from "../../src/stage/split.ts";
import { mini } from "../model/configs.ts";

const OPTIONS: SplitOptions = {
  ...{ model: "config.json", randomWeights: true, quantize: "q4", kvCache: "f32", slots: 2, maxRows: 256 },
  ...{ context: 1024, positions: 2048, snapshots: (stages) => stages === 1 ? 2 : 0, keptLogits: () => 0 },
};

/** Ten layers of 1 GB, each with so many of keys and values. */
const tenLayers = (cacheBytes: number): ShareOf => (layers: LayerRange) => {
  const count = layers.end - layers.start;
  return {
    layers,
    weightBytes: 9e8 * count,
    stateBytes: 1e8 * count,
    cacheBytes: cacheBytes * count,
    activationBytes: 0,
  };
};

const stagesOf = (cacheBytes: number, availableBytes: number) =>
  splitByMemory(10, tenLayers(cacheBytes), OPTIONS, availableBytes).length;

Deno.test("splitByMemory() leaves room for keys and values of full slots, as far as the computer has memory for them", () => {
  assert.equal(stagesOf(0, 1e12), 3);
  assert.equal(stagesOf(1e9, 1e12), 5);
  assert.equal(stagesOf(1e9, 15e9), 5); // half of them: two layers are 3 GB, three 4.5
  assert.equal(stagesOf(1e9, 10e9), 3);
  assert.equal(stagesOf(1e9, 1e9), 3);
});

Deno.test("splitByMemory() gives a layer by itself whose keys and values a memory cannot hold", () => {
  assert.equal(stagesOf(100e9, 1e13), 10);
});

Deno.test("checkMemories() refuses what splitByMemory() had to leave too large, with what to change", () => {
  const large: ShareOf = (layers) => {
    const weightBytes = layers.end > 3 ? 5e9 : 1e9;
    return { layers, weightBytes, stateBytes: 0, cacheBytes: 0, activationBytes: 0 };
  };
  const options = { ...OPTIONS, quantize: "none" } as const;
  const shares = splitByMemory(10, large, options, 1e12).map((layers) => large(layers, 10));
  assert.equal(shares.length, 10);
  checkMemories(shares.slice(0, 3), options, []);
  assert.throws(() => checkMemories(shares, options, []), {
    name: "RangeError",
    message: "Cannot hold layer 3 on a WASM memory: it has room for 4.2 GB, and it takes 5.0 GB of weights, " +
      "0.0 MB of states for 2 sequences and 0.0 MB for a step; use --quantize q4",
  });
});

Deno.test("sharesOf() counts a tied embedding in the first and the last stage, and snapshots in a single one", async () => {
  const layers = 20;
  const [tied, own] = [mini({ tie_word_embeddings: true }), mini()];
  const [ofTied, ofOwn] = [await sharesOf(tied, OPTIONS), await sharesOf(own, OPTIONS)];
  const whole = { start: 0, end: layers };
  const halves = [{ start: 0, end: 10 }, { start: 10, end: layers }];
  const embedding = tied.vocab * tied.hidden * 34 / 32; // in q8
  const weights = (shareOf: ShareOf) => halves.map((half) => shareOf(half, 2).weightBytes).reduce((a, b) => a + b);
  assert.equal(ofOwn(whole, 1).weightBytes, weights(ofOwn));
  assert.equal(ofTied(whole, 1).weightBytes, ofOwn(whole, 1).weightBytes - embedding);
  assert.equal(weights(ofTied), weights(ofOwn));
  const states = halves.map((half) => ofOwn(half, 2).stateBytes).reduce((a, b) => a + b);
  assert.equal(ofOwn(whole, 1).stateBytes, 2 * states); // 2 slots and 2 snapshots
});

Deno.test("sharesOf() counts the logits that the last of several stages keeps", async () => {
  const [none, some] = [await sharesOf(mini(), OPTIONS), await sharesOf(mini(), { ...OPTIONS, keptLogits: () => 2 })];
  const [first, last] = [{ start: 0, end: 10 }, { start: 10, end: 20 }];
  assert.deepEqual(some(first, 3), none(first, 3));
  const outputs = Math.floor(2 ** 26 / 4 / mini().vocab);
  assert.equal(some(last, 3).activationBytes - none(last, 3).activationBytes, 2 * outputs * 4 * mini().vocab);
});

Deno.test("sharesOf() knows a checkpoint's weights", async () => {
  const config = await loadConfig(EMBEDDED_MODEL);
  const shareOf = await sharesOf(config, { ...OPTIONS, model: EMBEDDED_MODEL, randomWeights: false, quantize: "none" });
  const share = shareOf({ start: 0, end: config.layers }, 1);
  assert.equal((share.weightBytes / 1e6).toFixed(1), "26.5");
  assert.ok(fixedBytes(share) > share.weightBytes + share.stateBytes);
});

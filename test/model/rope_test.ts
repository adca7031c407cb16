import assert from "node:assert/strict";
import { ropeFrequencies, ropeTable, withRopeScaling } from "../../src/model/rope.ts";
import { mini } from "./configs.ts";

const YARN = { rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 131072 } };

/** Changes of mini, channel → inverse frequency, and the factor on cosines and sines; numpy's, in float64 (spec c.3, c.4). */
const GOLDEN: readonly (readonly [string, Record<string, unknown>, Record<number, number>, number])[] = [
  ["no scaling", {}, {
    0: 1,
    1: 0.6493816315762113,
    15: 0.0015399265260594922,
    31: 1.539926526059492e-6,
  }, 1],
  ["YaRN by 4", YARN, {
    0: 1,
    15: 0.0015399265260594922,
    16: 0.0009166666666666666,
    20: 0.00010373296558560384,
    23: 1.6232250838862105e-5,
    24: 7.905694150420947e-6,
    31: 3.84981631514873e-7,
  }, 1.138629436111989],
  [
    "YaRN of a narrow head",
    {
      ...{ head_dim: 16, rope_theta: 10000, max_position_embeddings: 1024 },
      rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 256 },
    },
    { 0: 1, 1: 0.0625, 2: 0.0025, 3: 0.00025 },
    1.138629436111989,
  ],
  ["YaRN with betas and mscales", {
    rope_scaling: {
      ...{ rope_type: "yarn", factor: 8, original_max_position_embeddings: 32768 },
      ...{ beta_fast: 16, beta_slow: 2, mscale: 0.707, mscale_all_dim: 1.2 },
    },
  }, {
    0: 1,
    8: 0.03162277660168379,
    12: 0.005623413251903491,
    16: 0.0005625000000000001,
    20: 2.2228492625486537e-5,
    31: 1.924908157574365e-7,
  }, 0.9179561730379721],
  [
    "YaRN with attn_factor, original from max_position_embeddings",
    {
      rope_scaling: { rope_type: "yarn", factor: 8, attn_factor: 0.5 },
    },
    { 10: 0.01333521432163324, 20: 9.13838030158891e-5 },
    0.6039720770839918,
  ],
  [
    "YaRN with attention_factor",
    {
      rope_scaling: { rope_type: "yarn", factor: 8, attention_factor: 1.25 },
    },
    { 20: 9.13838030158891e-5 },
    1.25,
  ],
  [
    "YaRN of a tiny context",
    {
      rope_theta: 10000,
      rope_scaling: { type: "yarn", factor: 2, original_max_position_embeddings: 4 },
    },
    { 0: 1, 1: 0.7498942093324559, 31: 0.0001333521432163324 },
    1.0693147180559945,
  ],
  [
    "YaRN whose ramp goes beyond the last channel",
    {
      rope_theta: 10,
      rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 1000 },
    },
    { 0: 1, 16: 0.31622776601683794, 31: 0.08976906858537838 },
    1.138629436111989,
  ],
  ["linear scaling by 2", { rope_scaling: { type: "linear", factor: 2 } }, { 0: 0.5, 31: 7.69963263029746e-7 }, 1],
];

for (const [name, changes, expected, scale] of GOLDEN) {
  Deno.test(`ropeFrequencies() gives the reference's with ${name}`, () => {
    const config = mini(changes);
    const frequencies = ropeFrequencies(config);
    assert.equal(frequencies.inverse.length, config.rotaryDim / 2);
    assert.ok(Math.abs(frequencies.scale - scale) < 1e-14, `${frequencies.scale}`);
    for (const [channel, value] of Object.entries(expected)) {
      const actual = frequencies.inverse[Number(channel)]!;
      assert.ok(Math.abs(actual - value) <= 1e-14 * value, `channel ${channel}: ${actual}, not ${value}`);
    }
  });
}

/** Position → cosines, then sines, of channels 0, 17 and 31 with YaRN by 4. */
const TABLE: Readonly<Record<number, readonly number[]>> = {
  0: [1.138629436111989, 1.138629436111989, 1.138629436111989, 0, 0, 0],
  1: [
    0.6152041098606473,
    1.1386292693911417,
    1.1386294361119047,
    0.9581236329364153,
    0.0006161708374121827,
    4.3835141800524256e-7,
  ],
  1000: [
    0.6403413705180643,
    0.9759376871640237,
    1.138629351733368,
    0.9415093849684948,
    0.5865344180469225,
    0.00043835140717718034,
  ],
  131071: [
    -0.9313800906570121,
    -0.274430762209815,
    1.1371801520962599,
    -0.6549871140018269,
    1.1050632332738461,
    0.05743077971814067,
  ],
};

Deno.test("ropeTable() is float64's cosines and sines rounded once, out to the last position", () => {
  const table = ropeTable(mini(YARN), 131072);
  assert.equal(table.length, 131072 * 64);
  for (const [position, expected] of Object.entries(TABLE)) {
    const row = table.subarray(Number(position) * 64, Number(position) * 64 + 64);
    const actual = [0, 17, 31, 32, 49, 63].map((i) => row[i]!);
    for (const [i, value] of expected.entries()) {
      // Half a step of float32 for the rounding, and some float64 error in an angle of up to 131,071.
      const bound = 2 ** -24 * Math.abs(value) + 1e-10;
      assert.ok(Math.abs(actual[i]! - value) <= bound, `position ${position} [${i}]: ${actual[i]}, not ${value}`);
    }
  }
});

Deno.test("withRopeScaling() is what config.json would say, and stretches the context", () => {
  const config = withRopeScaling(mini(), "yarn:4");
  assert.deepEqual(config, mini({ ...YARN, max_position_embeddings: 524288 }));
  assert.equal(config.maxPositions, 524288);
  // Of a checkpoint with a scaling of its own it replaces the factor and keeps the original context.
  assert.deepEqual(withRopeScaling(config, "yarn:2.5").ropeScaling, withRopeScaling(mini(), "yarn:2.5").ropeScaling);
  assert.equal(withRopeScaling(config, "yarn:2.5").maxPositions, 327680);
});

Deno.test("parseConfig() counts the positions that YaRN reaches where max_position_embeddings doesn't", () => {
  assert.equal(mini(YARN).maxPositions, 524288);
});

for (const text of ["yarn", "yarn:", "yarn:0.5", "yarn:x", "yarn:4:2", "yarn:1e9", "yarn:1001", "linear:2", ""]) {
  Deno.test(`withRopeScaling() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => withRopeScaling(mini(), text), {
      name: "RangeError",
      message: `Cannot use ${JSON.stringify(text)} as a RoPE scaling: write yarn:FACTOR, with a factor from 1 to 1000`,
    });
  });
}

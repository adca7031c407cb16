/** The forward pass against the float64 reference program: every variant, cut and way of reading, on every backend. */
import { strict as assert } from "node:assert";
import { findPython, makeTiny, openTiny, type Tiny, VARIANT_NAMES } from "./tiny.ts";
import { type TestedBackend, testOnBackends } from "../backend/backends.ts";
import type { DecayConvention } from "../../src/pipeline/messages.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import { cut, distance, Stages } from "./stages.ts";

/** In units of the largest |logit|: what f32 arithmetic allows (spec j). */
const BOUND = 1e-5;

/** Ways to read a sequence: at once, token by token, in uneven pieces. */
const READINGS = { prefill: [1000], decode: [1], pieces: [5, 33, 1, 2, 17] } as const;

interface Run {
  readonly tiny: Tiny;
  readonly stages: number;
  readonly decay: DecayConvention;
  readonly readings?: readonly (keyof typeof READINGS)[];
}

/** Logits of each reading. Each starts at position 0 again, so nothing of the one before may be left. */
async function read(
  { open }: TestedBackend,
  { tiny, stages, decay, readings = ["prefill", "decode", "pieces"] }: Run,
): Promise<Float32Array[]> {
  const { layers } = await loadConfig(tiny.folder);
  using model = await Stages.open(tiny.folder, open, { layers: cut(layers, stages), decay });
  const all: Float32Array[] = [];
  for (const reading of readings) all.push(await model.logits(tiny.tokens, READINGS[reading]));
  return all;
}

async function check(backend: TestedBackend, run: Run): Promise<Float32Array[]> {
  const [all, expected] = [await read(backend, run), await run.tiny.logits(run.decay)];
  all.forEach((logits, i) => {
    const far = distance(logits, expected);
    assert.ok(far <= BOUND, `${run.tiny.folder}, ${run.decay}, ${run.stages} stages, reading ${i}: off by ${far}`);
  });
  return all;
}

for (const variant of VARIANT_NAMES) {
  testOnBackends(
    `forward() gives the reference's logits of ${variant}, equal to the bit with 1, 2 and 3 stages`,
    async (backend) => {
      const tiny = await openTiny(variant);
      const [one, two, three] = [
        await check(backend, { tiny, stages: 1, decay: "serving" }),
        await check(backend, { tiny, stages: 2, decay: "serving" }),
        await check(backend, { tiny, stages: 3, decay: "serving" }),
      ];
      assert.deepEqual(two, one);
      assert.deepEqual(three, one);
    },
  );
}

for (const decay of ["hf", "mlx"] as const) {
  testOnBackends(`forward() gives the reference's logits under the ${decay} decay`, async (backend) => {
    for (const variant of VARIANT_NAMES) {
      await check(backend, { tiny: await openTiny(variant), stages: 1, decay, readings: ["prefill", "decode"] });
    }
  });
}

const python = await findPython();

/** Checkpoints made for this run: other ones each day, and the same all day, so that a failure can be looked into. */
async function makeFresh(): Promise<{ folder: string; tinies: readonly Tiny[] }> {
  const first = 10 * Math.floor(Date.now() / 86_400_000);
  const folder = await Deno.makeTempDir();
  const tinies: Tiny[] = [];
  for (const [i, variant] of VARIANT_NAMES.entries()) {
    const seed = first + i;
    tinies.push(await makeTiny(python!, `${folder}/${variant}-seed-${seed}`, variant, { seed, count: 40 }));
  }
  return { folder, tinies };
}

let fresh: ReturnType<typeof makeFresh> | null = null;
Deno.test.afterAll(async () => {
  if (fresh !== null) await Deno.remove((await fresh).folder, { recursive: true });
});

testOnBackends("forward() gives the reference's logits of fresh checkpoints", async (backend) => {
  const { tinies } = await (fresh ??= makeFresh());
  for (const tiny of tinies) {
    await check(backend, { tiny, stages: 2, decay: "serving", readings: ["prefill", "pieces"] });
  }
}, python === null ? "no Python with numpy is there" : null);

/** Linear states kept and begun from again give what they would have without an interruption, to the bit. */
import { strict as assert } from "node:assert";
import type { StageModel } from "../../src/stage/stage.ts";
import type { Candidates, Segment } from "../../src/pipeline/steps.ts";
import type { Pipeline } from "../../src/pipeline/pipeline.ts";
import { testOnBackends } from "../backend/backends.ts";
import { joinStages } from "../pipeline/joined_stages.ts";
import { cut, Stages, type StagesOptions } from "./stages.ts";
import { openTiny, type Tiny } from "./tiny.ts";

const LAYERS = 6;
const VOCABULARY = 96;

/** Where the sequence is interrupted. */
const CUT = 41;

/** What a step gives, so that two of them can be compared. */
const plain = ({ ids, logits, logSumExp }: Candidates) => [[...ids], [...logits], [...logSumExp]];

/** Runs `work` on the stages of a checkpoint, joined by ports. */
async function onPipeline(
  { folder }: Tiny,
  open: Parameters<typeof Stages.open>[1],
  options: StagesOptions,
  work: (run: (segment: Segment, tokens: Uint32Array) => Promise<unknown>) => Promise<void>,
): Promise<void> {
  using stages = await Stages.open(folder, open, options);
  const models = stages.models.map((model): StageModel => ({
    last: model.last,
    forward: (step, rows) => model.forward(step, rows),
    release: (released) => model.release(released),
    store: (store) => model.store(store),
    logits: (step) => model.logits(step),
  }));
  const { pipeline, ended } = joinStages(models, "port");
  let id = 0;
  const run: Parameters<typeof work>[0] = async (segment, tokens) => {
    const step = { id: id++, segments: [segment], outputs: Uint32Array.of(segment.rows - 1) };
    return plain(await (pipeline as Pipeline).run(step, tokens));
  };
  await work(run);
  await pipeline[Symbol.asyncDispose]();
  await Promise.all(ended);
}

for (const stages of [1, 2]) {
  for (const [reading, rows] of [["in long steps", 100], ["token by token", 1]] as const) {
    testOnBackends(`a sequence read ${reading} by ${stages} stages goes on from a snapshot`, async ({ open }) => {
      const tiny = await openTiny("base");
      const options = { layers: cut(LAYERS, stages), snapshots: 3 };
      await onPipeline(tiny, open, options, async (run) => {
        /** Reads tokens from `first` on, up to `end`; the steps take `rows` rows each. */
        const read = async (tokens: Uint32Array, first: number, end: number, ends: Pick<Segment, "from" | "keep">) => {
          const results = [];
          for (let start = first; start < end; start += rows) {
            const count = Math.min(rows, end - start);
            const from = start === first && ends.from !== undefined ? { from: ends.from } : {};
            const keep = start + count === end && ends.keep !== undefined ? { keep: ends.keep } : {};
            const segment = { slot: 0, start, rows: count, ...from, ...keep };
            results.push(await run(segment, tokens.subarray(start, start + count)));
          }
          return results;
        };
        const { tokens } = tiny;
        const others = tokens.map((token) => (token + 1) % VOCABULARY);
        await read(tokens, 0, CUT, { keep: 2 });
        const expected = await read(tokens, CUT, tokens.length, { keep: 0 });
        const strange = await read(others, CUT, tokens.length, {});
        assert.notDeepEqual(strange, expected);
        assert.deepEqual(await read(tokens, CUT, tokens.length, { from: 2 }), expected);
        assert.deepEqual(await read(tokens, CUT, tokens.length, { from: 2 }), expected, "a second time");
      });
    });
  }
}

testOnBackends("linear layers go on from a snapshot in another slot, whoever had theirs", async ({ open }) => {
  const { folder } = await openTiny("base");
  using stages = await Stages.open(folder, open, { layers: [{ start: 1, end: 2 }], slots: 2, snapshots: 1 });
  const [model] = stages.models;
  const H = 48;
  const hidden = (seed: number, rows: number) =>
    Float32Array.from({ length: rows * H }, (_, i) => Math.sin(seed + i * i % 101));
  const forward = async (
    segments: readonly Segment[],
    rows: Float32Array,
  ) => [...await model!.forward({ id: 0, segments, outputs: new Uint32Array() }, rows) as Float32Array];
  await forward([{ slot: 0, start: 0, rows: 5, keep: 0 }], hidden(1, 5));
  const expected = await forward([{ slot: 0, start: 5, rows: 2 }], hidden(2, 2));
  await forward([{ slot: 0, start: 0, rows: 3 }, { slot: 1, start: 0, rows: 3 }], hidden(3, 6));
  const again = { slot: 1, start: 5, rows: 2, from: 0, keep: 0 };
  assert.deepEqual(await forward([again], hidden(2, 2)), expected);
  assert.notDeepEqual(
    await forward([{ slot: 1, start: 7, rows: 2, from: 0 }], hidden(2, 2)),
    expected,
    "it was kept anew",
  );
});

testOnBackends("a step says what is wrong with its snapshots", async ({ open }) => {
  const { folder, tokens } = await openTiny("base");
  const layers = [{ start: 0, end: LAYERS }];
  using none = await Stages.open(folder, open, { layers });
  using two = await Stages.open(folder, open, { layers, slots: 2, snapshots: 2 });
  const run = (stages: Stages, ...segments: Segment[]) =>
    stages.forward({ segments, outputs: new Uint32Array() }, tokens.subarray(0, segments.length));
  const first = { slot: 0, start: 0, rows: 1 };
  await run(two, { ...first, keep: 1 });
  for (
    const [stages, segments, reason] of [
      [none, [{ ...first, keep: 0 }], "snapshot 0 is none of the 0"],
      [two, [{ ...first, keep: 2 }], "snapshot 2 is none of the 2"],
      [two, [{ ...first, start: 1, from: -1 }], "snapshot -1 is none of the 2"],
      [two, [{ ...first, start: 1, from: 0 }], "slot 0 would begin from snapshot 0, which was never kept"],
      [
        two,
        [{ ...first, start: 2, from: 1 }],
        "slot 0 would begin at position 2 from snapshot 1, which was kept at 1",
      ],
      [two, [{ ...first, keep: 0 }, { ...first, slot: 1, keep: 0 }], "two of its segments keep the same snapshot"],
    ] as const
  ) await assert.rejects(run(stages, ...segments), new RangeError(`Cannot run the step: ${reason}`));
  await run(two, { ...first, start: 1, from: 1 });
});

testOnBackends("a stage's states include its snapshots", async ({ open }) => {
  const { folder } = await openTiny("base");
  using none = await Stages.open(folder, open, { context: 8 });
  using three = await Stages.open(folder, open, { context: 8, snapshots: 3 });
  const [less, more] = [none, three].map(({ models }) => models[0]!.stateBytes);
  const config = await import(`${folder}/config.json`, { with: { type: "json" } });
  const { num_attention_heads: heads, head_dim: D } = config.default;
  assert.equal(more! - less!, 3 * 4 * heads * D * D * 4); // three snapshots of four linear layers in f32
});

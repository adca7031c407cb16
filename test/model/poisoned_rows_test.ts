/** Rows that are no numbers, from a neighbour that is faulty or hostile, spoil their own sequence and no other, then or later. */
import { strict as assert } from "node:assert";
import type { Candidates } from "../../src/pipeline/steps.ts";
import { testOnBackends } from "../backend/backends.ts";
import { Stages, type StagesOptions } from "./stages.ts";
import { openTiny } from "./tiny.ts";

const [H, LAYERS, VOCABULARY] = [48, 6, 96];

const sound = (seed: number) => (i: number) => Math.sin(seed + i * i % 101);

const POISONS: Readonly<Record<string, (i: number) => number>> = {
  NaN: () => NaN,
  "an infinity in each row": (i) => i % H === 7 ? Infinity : Math.sin(i),
  "the largest numbers": (i) => (i % 3 - 1) * 3.4e38,
  "all kinds of bits": (i) => new Float32Array(Uint32Array.of(Math.imul(i + 1, 0x9e3779b1)).buffer)[0]!,
};

const CASES: readonly (readonly [rows: number, StagesOptions])[] = [
  [1, { kvCache: "f16", quantize: "q4" }],
  [40, { kvCache: "f32", quantize: "none" }],
];

for (const [rows, options] of CASES) {
  const what = `${rows} rows a sequence, --kv-cache ${options.kvCache} --quantize ${options.quantize}`;

  testOnBackends(`forward() keeps poison to its sequence: ${what}`, async ({ open }) => {
    const { folder } = await openTiny("base");
    const layers = [{ start: 1, end: LAYERS }];
    using stages = await Stages.open(folder, open, { ...options, layers, slots: 2, pages: 2 });
    const model = stages.models[0]!;
    let id = 0;

    /** The candidates of both slots' last rows. */
    const run = async (start: number, ...fills: ((i: number) => number)[]) => {
      const hidden = fills.flatMap((fill) => Array.from({ length: rows * H }, (_, i) => fill(i)));
      const segments = fills.map((_, slot) => ({ slot, start, rows }));
      const outputs = Uint32Array.of(rows - 1, 2 * rows - 1);
      const { perRow, ids, logits, logSumExp } = await model.forward(
        { id: id++, segments, outputs },
        Float32Array.from(hidden),
      ) as Candidates;
      assert.ok(ids.every((token) => token < VOCABULARY), `of ${fills[1]}: ${ids}`);
      return fills.map((_, i) => {
        const [from, to] = [i * perRow, (i + 1) * perRow];
        return [...ids.subarray(from, to), ...logits.subarray(from, to), logSumExp[i]];
      });
    };

    /** What slot 0 gives beside `fill`, and then both when others have taken their places. */
    const read = async (fill: (i: number) => number) => {
      const beside = [await run(0, sound(1), fill), await run(rows, sound(2), fill)].map(([first]) => first);
      await run(2 * rows, fill, fill);
      model.release({ slots: [0, 1], snapshots: [] });
      const after = [await run(0, sound(3), sound(4)), await run(rows, sound(5), sound(6))];
      model.release({ slots: [0, 1], snapshots: [] });
      return [beside, after];
    };

    const expected = await read(sound(7));
    for (const [name, poison] of Object.entries(POISONS)) assert.deepEqual(await read(poison), expected, name);
  });
}

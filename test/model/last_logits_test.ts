/** Whole logits of steps behind which others have run are those that were read at once, to the bit. */
import { strict as assert } from "node:assert";
import { testOnBackends } from "../backend/backends.ts";
import { cut, Stages } from "./stages.ts";
import { openTiny } from "./tiny.ts";

/** Steps of two sequences by turns, of which some give nothing: rows and outputs. */
const STEPS = [[5, [4]], [3, [0, 2]], [4, []], [7, [1, 3, 6]], [1, [0]], [1, []], [2, [0, 1]], [1, [0]]] as const;

testOnBackends("logits() gives whole rows of as many steps as are kept, and of no others", async ({ open }) => {
  const { folder, tokens } = await openTiny("base");
  const atOnce: string[] = [];
  for (const stages of [1, 2, 3]) {
    using model = await Stages.open(folder, open, { layers: cut(6, stages), slots: 2, maxRows: 8 });
    const last = model.models.at(-1)!;
    const starts = [0, 0];
    const run: number[] = []; // those with outputs
    for (const [id, [rows, outputs]] of STEPS.entries()) {
      const slot = id % 2;
      const start = starts[slot]!;
      starts[slot] = start + rows;
      const segments = [{ slot, start, rows }];
      await model.forward({ segments, outputs: Uint32Array.from(outputs) }, tokens.subarray(start, start + rows));
      if (outputs.length > 0) run.push(id);
      if (stages === 1 && outputs.length > 0) atOnce[id] = (await last.logits(id)).join();
      for (const known of run.slice(-stages)) assert.equal((await last.logits(known)).join(), atOnce[known]);
      for (const gone of [...run.slice(0, -stages), STEPS.findIndex(([, { length }]) => length === 0), id + 1]) {
        await assert.rejects(
          last.logits(gone),
          new RangeError(`Cannot read the logits of step ${gone}: it did not run, or too many others have since`),
        ); // deno-fmt-ignore
      }
    }
  }
});

testOnBackends("logits() gives none of a step that failed, and those before it", async ({ open }) => {
  const { folder, tokens } = await openTiny("base");
  using model = await Stages.open(folder, open, { layers: cut(6, 2), slots: 1, maxRows: 8 });
  const last = model.models.at(-1)!;
  const step = (start: number) => ({ segments: [{ slot: 0, start, rows: 2 }], outputs: Uint32Array.of(1) });
  await model.forward(step(0), tokens.subarray(0, 2));
  const expected = (await last.logits(0)).join();
  await assert.rejects(last.forward({ id: 1, ...step(1000) }, new Float32Array(2 * 32)));
  await assert.rejects(last.logits(1), RangeError);
  assert.equal((await last.logits(0)).join(), expected);
});

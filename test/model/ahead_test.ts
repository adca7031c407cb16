/** Steps that a device goes through by itself give what the same steps give one by one, to the bit, and can be taken back. */
import { strict as assert } from "node:assert";
import type { Candidates, Draw } from "../../src/pipeline/steps.ts";
import { testOnBackends } from "../backend/backends.ts";
import { Stages } from "./stages.ts";
import { openTiny } from "./tiny.ts";

const LAYERS = [{ start: 0, end: 6 }];
const STEPS = 6;
const DRAWS: readonly Draw[] = [
  { temperature: 1, topK: 1, topP: 1, minP: 0, u: 0.5 },
  { temperature: 1, topK: 20, topP: 0.9, minP: 0.01, u: 0.8 },
];

const outputs = Uint32Array.of(0, 1);
const starts = [17, 9];
const segmentsAt = (step: number) => starts.map((start, slot) => ({ slot, start: start + step, rows: 1 }));

/** Segment i's states before it are kept as snapshot i. */
const kept = <S extends object>(segments: readonly S[]) => segments.map((segment, i) => ({ ...segment, before: i }));

/** Candidates of one step out of those of several. */
function partOf({ perRow, ids, logits, logSumExp }: Candidates, step: number) {
  const [from, to] = [2 * step, 2 * step + 2];
  return [
    [...ids.subarray(from * perRow, to * perRow)],
    [...logits.subarray(from * perRow, to * perRow)],
    [...logSumExp.subarray(from, to)],
  ];
}

/** Two sequences read up to `starts`, and what their next tokens are. */
async function opened(folder: string, open: Parameters<typeof Stages.open>[1], tokens: Uint32Array, snapshots = 2) {
  const stages = await Stages.open(folder, open, { layers: LAYERS, slots: 2, snapshots });
  for (const [slot, rows] of starts.entries()) {
    await stages.forward({ segments: [{ slot, start: 0, rows }], outputs: new Uint32Array() }, tokens.slice(0, rows));
  }
  return stages;
}

testOnBackends(
  "steps ahead are those that come one by one, and begin again from where they began",
  async ({ open }) => {
    const { folder, tokens } = await openTiny("base");
    using stages = await opened(folder, open, tokens);
    const next = Uint32Array.of(tokens[17]!, tokens[9]!);
    const draws = Array.from({ length: STEPS }, () => DRAWS);
    const ahead = await stages.forward({ segments: kept(segmentsAt(0)), outputs, draws }, next);
    const drawn = ahead.drawn!;
    assert.equal(drawn.length, 2 * STEPS);
    assert.equal(ahead.logSumExp.length, 2 * STEPS);

    using single = await opened(folder, open, tokens);
    for (let step = 0; step < STEPS; step++) {
      const rows = step === 0 ? next : drawn.slice(2 * step - 2, 2 * step);
      const expected = await single.forward({ segments: segmentsAt(step), outputs }, rows);
      assert.deepEqual(partOf(ahead, step), partOf(expected, 0), `step ${step}`);
      assert.equal(drawn[2 * step], expected.ids[0], "a draw of the likeliest");
    }
    // The second sequence goes back by all steps, and reads three tokens once more.
    const { perRow } = ahead;
    for (const [step, token] of [next[1]!, drawn[1]!, drawn[3]!].entries()) {
      const segment = { slot: 1, start: 9 + step, rows: 1, ...(step === 0 && { from: 1 }) };
      const again = await stages.forward({ segments: [segment], outputs: Uint32Array.of(0) }, Uint32Array.of(token));
      const at = (2 * step + 1) * perRow;
      assert.deepEqual([...again.logits], [...ahead.logits.subarray(at, at + perRow)]);
      assert.deepEqual([...again.ids], [...ahead.ids.subarray(at, at + perRow)]);
    }
  },
);

testOnBackends(
  "chains of 32 sequences follow each other, and any of them goes back to where either began",
  async ({ open }) => {
    const COUNT = 32;
    const { folder, tokens } = await openTiny("base");
    using stages = await Stages.open(folder, open, { layers: LAYERS, slots: COUNT, snapshots: 2 * COUNT });
    const slots = Array.from({ length: COUNT }, (_, slot) => slot);
    const all = Uint32Array.from(slots);
    const rowsAt = (start: number, before?: number) =>
      slots.map((slot) => ({ slot, start, rows: 1, ...(before !== undefined && { before: before + slot }) }));
    const first = tokens.slice(0, COUNT);
    await stages.forward({ segments: rowsAt(0), outputs: all }, first);
    const draws = Array.from({ length: 3 }, () => slots.map((slot) => DRAWS[slot % 2]!));
    const [one, two] = await Promise.all([
      stages.forward({ segments: rowsAt(1, 0), outputs: all, draws }, first),
      stages.forward({ segments: rowsAt(4, COUNT), outputs: all, draws, follows: true }, new Uint32Array()),
    ]);
    const drawn = [...first, ...one.drawn!, ...two.drawn!];
    const { perRow } = one;
    const row = (found: Candidates, r: number) => [...found.logits.subarray(r * perRow, (r + 1) * perRow)];
    const expected: Candidates[] = [];
    await stages.forward({ segments: rowsAt(0), outputs: all }, first);
    for (let step = 0; step < 6; step++) {
      const rows = Uint32Array.from(drawn.slice(step * COUNT, (step + 1) * COUNT));
      const found = expected[step] = await stages.forward({ segments: rowsAt(1 + step), outputs: all }, rows);
      const [chain, at] = step < 3 ? [one, step * COUNT] : [two, (step - 3) * COUNT];
      for (const slot of slots) assert.deepEqual(row(chain, at + slot), row(found, slot), `slot ${slot}, step ${step}`);
    }
    // Some go back by one chain, others by both.
    const back = slots.map((slot) => slot % 3 === 0 ? 0 : 3);
    const segments = slots.map((slot) => ({
      slot,
      start: 1 + back[slot]!,
      rows: 1,
      from: back[slot]! / 3 * COUNT + slot,
    }));
    const rows = Uint32Array.from(slots, (slot) => drawn[back[slot]! * COUNT + slot]!);
    const again = await stages.forward({ segments, outputs: all }, rows);
    for (const slot of slots) {
      assert.deepEqual(row(again, slot), row(expected[back[slot]!]!, slot), `slot ${slot} again`);
    }
  },
);

testOnBackends("steps ahead are refused where they cannot be", async ({ open }) => {
  const { folder, tokens } = await openTiny("base");
  using one = await opened(folder, open, tokens, 1);
  const next = Uint32Array.of(1, 2);
  const [first, second] = segmentsAt(0) as [
    ReturnType<typeof segmentsAt>[number],
    ReturnType<typeof segmentsAt>[number],
  ];
  const reason = /this takes a stage of all layers and segments of one row that is an output/;
  await assert.rejects(
    one.forward({ segments: kept([first, second]), outputs, draws: [DRAWS, DRAWS] }, next),
    new RangeError("Cannot run the step: snapshot 1 is none of the 1"),
  );
  for (
    const [segments, rows] of [[[{ ...first, rows: 2 }], outputs], [[{ ...first, keep: 0 }], Uint32Array.of(0)], [[
      first,
    ], new Uint32Array()]] as const
  ) {
    const step = { segments, outputs: rows, draws: [DRAWS.slice(0, rows.length)] };
    await assert.rejects(one.forward(step, next.subarray(0, segments[0].rows)), reason);
  }
  using half = await Stages.open(folder, open, { layers: [{ start: 0, end: 3 }], snapshots: 1 });
  const step = { segments: [{ slot: 0, start: 0, rows: 1 }], outputs: Uint32Array.of(0), draws: [DRAWS.slice(0, 1)] };
  await assert.rejects(half.forward(step, Uint32Array.of(1)), reason);
});

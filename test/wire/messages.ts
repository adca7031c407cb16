/** Messages of all kinds that go over a network, made at random, within a room for them. */
import fc from "fast-check";
import type { FromStage, Released, Segment, Step, StepFailure, ToStage } from "../../src/pipeline/steps.ts";
import type { Room } from "../../src/wire/room.ts";

export const ROOM: Room = { slots: 5, snapshots: 9, context: 300, maxRows: 12, hidden: 6, vocabulary: 50 };

const count = (most: number) => fc.integer({ min: 0, max: most });
const id = fc.oneof(count(1000), fc.maxSafeNat());
const millis = fc.double({ min: 0, max: 1e6, noNaN: true });
const u32s = (length: number, below: number) =>
  fc.array(count(below - 1), { minLength: length, maxLength: length }).map((values) => Uint32Array.from(values));

/** All bits that an f32 may have, NaN among them. */
const f32s = (length: number) =>
  fc.array(count(2 ** 32 - 1), { minLength: length, maxLength: length })
    .map((bits) => new Float32Array(Uint32Array.from(bits).buffer));

/** Leaves out what is undefined. */
function given<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
}

const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });

const segments = fc.uniqueArray(count(ROOM.slots - 1), { minLength: 1 }).chain((slots) =>
  fc.tuple(
    ...slots.map((slot) =>
      fc.record({ slot: fc.constant(slot), start: count(ROOM.context - 2), rows: fc.integer({ min: 1, max: 2 }) })
    ),
  )
);

const snapshots = fc.shuffledSubarray(Array.from({ length: ROOM.snapshots }, (_, i) => i));

/** Each snapshot is named once at most. */
const step: fc.Arbitrary<Step> = fc.tuple(segments, snapshots, fc.infiniteStream(fc.boolean())).chain(
  ([plain, snapshots, choose]) => {
    const left = [...snapshots];
    const one = () => choose.next().value ? left.pop() : undefined;
    const all = plain.map((segment) => given({ ...segment, from: one(), before: one(), keep: one() }) as Segment);
    const rows = Array.from({ length: rowsOf(all) }, (_, row) => row);
    return fc.record({
      id,
      segments: fc.constant(all),
      outputs: fc.subarray(rows).map((rows) => Uint32Array.from(rows)),
      deadline: maybe(millis),
    }).map((step) => given(step) as Step);
  },
);

const rowsOf = (segments: readonly Segment[]) => segments.reduce((sum, { rows }) => sum + rows, 0);

const failed: fc.Arbitrary<StepFailure> = fc.record({
  type: fc.constant("failed" as const),
  id,
  reason: fc.string({ unit: "grapheme", maxLength: 50 }),
  pages: maybe(count(2 ** 32 - 1)),
  lost: maybe(fc.constant(true as const)),
}).map((message) => given(message) as StepFailure);

const released: fc.Arbitrary<Released> = fc.record({
  slots: fc.uniqueArray(count(ROOM.slots - 1)),
  snapshots,
  order: maybe(id),
}).map((released) => given(released) as Released);

const hidden = (step: Step) =>
  fc.record({ gpuMillis: maybe(millis), hidden: f32s(rowsOf(step.segments) * ROOM.hidden) })
    .map((rest) => given({ type: "hidden", step, ...rest }) as ToStage);

const passed: fc.Arbitrary<ToStage> = fc.oneof(
  released.map((released) => ({ type: "release" as const, released })),
  id.map((id) => ({ type: "logits" as const, id })),
  failed,
);

/** What comes to the first stage, or to another one. */
export const toStage: Readonly<Record<"tokens" | "hidden", fc.Arbitrary<ToStage>>> = {
  tokens: fc.oneof(
    step.chain((step) =>
      u32s(rowsOf(step.segments), ROOM.vocabulary).map((tokens) => ({ type: "tokens" as const, step, tokens }))
    ),
    passed,
  ),
  hidden: fc.oneof(step.chain(hidden), passed),
};

const candidates = fc.tuple(count(4), count(ROOM.maxRows)).chain(([perRow, rows]) =>
  fc.record({
    perRow: fc.constant(perRow),
    ids: u32s(rows * perRow, ROOM.vocabulary),
    logits: f32s(rows * perRow),
    logSumExp: f32s(rows),
    gpuMillis: maybe(millis),
  })
);

export const fromStage: fc.Arbitrary<FromStage> = fc.oneof(
  fc.record({ id, candidates }).map(({ id, candidates }) =>
    ({ type: "candidates", id, candidates: given(candidates) }) as FromStage
  ),
  count(3).chain((rows) =>
    fc.record({ type: fc.constant("logits" as const), id, logits: f32s(rows * ROOM.vocabulary) })
  ),
  failed,
);

/** Messages of all kinds that go over a network, made at random. */
import fc from "fast-check";
import type { Candidates, FromStage, Released, Segment, Step, StepFailure, ToStage } from "../../src/pipeline/steps.ts";
import type { Room } from "../../src/wire/room.ts";

/** Has room for two rows of each slot. */
export const ROOM: Room = { slots: 5, snapshots: 9, context: 300, maxRows: 12, hidden: 6, vocabulary: 50 };

const count = (most: number) => fc.integer({ min: 0, max: most });
const id = fc.oneof(count(1000), fc.maxSafeNat());
const millis = fc.double({ min: 0, max: 1e6, noNaN: true });
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });

const u32s = (length: number, below: number) =>
  fc.array(count(below - 1), { minLength: length, maxLength: length }).map((values) => Uint32Array.from(values));

/** All bits that an f32 may have, NaN among them. */
const f32s = (length: number) => u32s(length, 2 ** 32).map((bits) => new Float32Array(bits.buffer));

/** Leaves out what is undefined. */
function given<T>(value: object): T {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;
}

const rowsOf = (segments: readonly Segment[]) => segments.reduce((sum, { rows }) => sum + rows, 0);

const failed: fc.Arbitrary<StepFailure> = fc.record({
  type: fc.constant("failed"),
  id,
  reason: fc.string({ unit: "grapheme", maxLength: 50 }),
  pages: maybe(count(2 ** 32 - 1)),
  lost: maybe(fc.constant(true)),
}).map(given<StepFailure>);

const snapshotsOf = (room: Room) => fc.shuffledSubarray(Array.from({ length: room.snapshots }, (_, i) => i));

function segmentsOf(room: Room): fc.Arbitrary<Segment[]> {
  const slots = fc.uniqueArray(count(room.slots - 1), { minLength: 1 });
  const start = fc.oneof(fc.constant(0), count(room.context - 2));
  return slots.chain((slots) =>
    fc.tuple(
      ...slots.map((slot) => fc.record({ slot: fc.constant(slot), start, rows: fc.integer({ min: 1, max: 2 }) })),
    )
  );
}

/** Names each snapshot once at most. */
function stepsOf(room: Room): fc.Arbitrary<Step> {
  return fc.tuple(segmentsOf(room), snapshotsOf(room), fc.infiniteStream(fc.boolean())).chain(
    ([plain, snapshots, choose]) => {
      const left = [...snapshots];
      const one = () => choose.next().value ? left.pop() : undefined;
      const segments = plain.map((segment) => given<Segment>({ ...segment, from: one(), before: one(), keep: one() }));
      const rows = Array.from({ length: rowsOf(segments) }, (_, row) => row);
      const outputs = fc.subarray(rows).map((rows) => Uint32Array.from(rows));
      return fc.record({ id, segments: fc.constant(segments), outputs, deadline: maybe(millis) }).map(given<Step>);
    },
  );
}

/** What comes to a stage, all of which fits the room. */
export function toStage(input: "tokens" | "hidden", room = ROOM): fc.Arbitrary<ToStage> {
  const tokens = (step: Step) =>
    u32s(rowsOf(step.segments), room.vocabulary).map((tokens): ToStage => ({ type: "tokens", step, tokens }));
  const hidden = (step: Step) =>
    fc.record({ gpuMillis: maybe(millis), hidden: f32s(rowsOf(step.segments) * room.hidden) })
      .map((rest) => given<ToStage>({ type: "hidden", step, ...rest }));
  const slots = fc.uniqueArray(count(room.slots - 1));
  const released = fc.record({ slots, snapshots: snapshotsOf(room), order: maybe(id) }).map(given<Released>);
  return fc.oneof(
    { weight: 3, arbitrary: stepsOf(room).chain(input === "tokens" ? tokens : hidden) },
    released.map((released): ToStage => ({ type: "release", released })),
    id.map((id): ToStage => ({ type: "logits", id })),
    id.map((id): ToStage => ({ type: "cancel", id })),
    failed,
  );
}

/** What a server hears, all of which fits the room. */
export function fromStage({ maxRows, vocabulary } = ROOM): fc.Arbitrary<FromStage> {
  const candidates = fc.tuple(count(4), count(maxRows)).chain(([perRow, rows]) =>
    fc.record({
      perRow: fc.constant(perRow),
      ids: u32s(rows * perRow, vocabulary),
      logits: f32s(rows * perRow),
      logSumExp: f32s(rows),
      gpuMillis: maybe(millis),
    }).map(given<Candidates>)
  );
  const logits = count(3).chain((rows) => f32s(rows * vocabulary));
  return fc.oneof(
    fc.record({ type: fc.constant("candidates"), id, candidates }),
    fc.record({ type: fc.constant("logits"), id, logits }),
    failed,
  );
}

import assert from "node:assert/strict";
import type { Candidates, FromStage, Segment, Step, ToStage } from "../../src/pipeline/steps.ts";
import { checkAnswer } from "../../src/wire/check.ts";
import { fromStageCodec, toStageCodec } from "../../src/wire/codec.ts";
import { FrameError } from "../../src/wire/frame_error.ts";
import { ROOM } from "./messages.ts";

const toFirst = toStageCodec(ROOM, "tokens", "f32");
const toOther = toStageCodec(ROOM, "hidden", "f32");
const toServer = fromStageCodec(ROOM);

const SEGMENT = { slot: 2, start: 8, rows: 3 };
const STEP: Step = { id: 3, segments: [SEGMENT], outputs: Uint32Array.of(0, 2) };

const step = (change: Partial<Step>, rows = 3): ToStage => ({
  type: "tokens",
  step: { ...STEP, ...change },
  tokens: new Uint32Array(rows),
});
const segment = (change: Partial<Segment>, rows = 3) => step({ segments: [{ ...SEGMENT, ...change }] }, rows);
const two = (a: Partial<Segment>, b: Partial<Segment>) =>
  step({ segments: [{ ...SEGMENT, ...a }, { ...SEGMENT, slot: 1, ...b }] }, 6);
const hidden = (values: number): ToStage => ({ type: "hidden", step: STEP, hidden: new Float32Array(values) });
const release = (slots: number[], snapshots: number[]): ToStage => ({
  type: "release",
  released: { slots, snapshots },
});

/** What is sent, and what the error of the receiver says; null for what just fits. */
const TO_STAGE: readonly (readonly [ToStage, RegExp | null])[] = [
  [step({}), null],
  [segment({ slot: 4 }), null],
  [segment({ slot: 5 }), /slot 5 came where there are 5/],
  [two({}, {}), null],
  [two({ slot: 1 }, {}), /one slot came twice/],
  [segment({ start: 297 }), null],
  [segment({ start: 298 }), /301 positions came where 300 are the most/],
  [segment({ start: 2 ** 32 - 1 }), /positions/],
  [segment({ rows: 2 }), /3 rows came for segments of 2/],
  [segment({ rows: 4 }), /3 rows came for segments of 4/],
  [step({ segments: [SEGMENT, { slot: 1, start: 0, rows: 0 }] }), /no rows came for slot 1/],
  [step({ segments: [], outputs: new Uint32Array() }, 0), /a step without rows came/],
  [segment({ rows: 12 }, 12), null],
  [segment({ rows: 13 }, 13), /13 rows came where 12 are the most/],
  [segment({ from: 8, before: 7, keep: 6 }), null],
  [segment({ from: 9 }), /snapshot 9 came where there are 9/],
  [segment({ before: 9 }), /snapshot 9/],
  [segment({ keep: 2 ** 32 - 1 }), /snapshot 4294967295/],
  [segment({ before: 1, keep: 1 }), /one snapshot came twice/],
  [two({ keep: 1 }, { keep: 1 }), /one snapshot came twice/],
  [two({ from: 1 }, { from: 1 }), null],
  [step({ outputs: Uint32Array.of(0, 1, 2) }), null],
  [step({ outputs: Uint32Array.of(3) }), /output 3 came where there are 3/],
  [step({ outputs: Uint32Array.of(1, 1) }), /outputs came that do not rise/],
  [step({ outputs: Uint32Array.of(2, 1) }), /outputs came that do not rise/],
  [step({ deadline: 2 ** 31 - 1 }), null],
  [step({ deadline: 2 ** 31 }), /deadline/],
  [{ type: "tokens", step: STEP, tokens: Uint32Array.of(0, 1, 49) }, null],
  [{ type: "tokens", step: STEP, tokens: Uint32Array.of(0, 50, 1) }, /token 50 came where there are 50/],
  [hidden(18), /hidden rows came where token ids are wanted/],
  [release([0, 4], [8]), null],
  [release([5], []), /slot 5/],
  [release([], [9]), /snapshot 9/],
];

Deno.test("a stage takes what it has room for, and nothing beyond", () => {
  for (const [message, error] of TO_STAGE) assertTaken(() => toFirst.decode(toFirst.encode(message)), error);
});

Deno.test("a stage behind the first takes whole hidden rows, and no tokens", () => {
  assertTaken(() => toOther.decode(toOther.encode(hidden(18))), null);
  assertTaken(() => toOther.decode(toOther.encode(hidden(17))), /2.83.* rows came for segments of 3/);
  assertTaken(() => toOther.decode(toOther.encode(hidden(24))), /4 rows came for segments of 3/);
  assertTaken(() => toOther.decode(toOther.encode(step({}))), /token ids came where hidden rows are wanted/);
});

Deno.test("a step of a large vocabulary has no more outputs than there is room for logits", () => {
  const codec = toStageCodec({ ...ROOM, vocabulary: 2 ** 23 }, "tokens", "f32");
  assertTaken(() => codec.decode(codec.encode(step({ outputs: Uint32Array.of(0, 1) }))), null);
  const three = step({ outputs: Uint32Array.of(0, 1, 2) });
  assertTaken(() => codec.decode(codec.encode(three)), /3 outputs came where 2 are the most/);
});

const CANDIDATES: Candidates = {
  perRow: 2,
  ids: Uint32Array.of(3, 49),
  logits: Float32Array.of(NaN, -Infinity),
  logSumExp: Float32Array.of(Infinity),
};
const candidates = (change: Partial<Candidates>): FromStage => ({
  type: "candidates",
  id: 1,
  candidates: { ...CANDIDATES, ...change },
});
const rows = (count: number, perRow = 1) =>
  candidates({
    perRow,
    ids: new Uint32Array(count * perRow),
    logits: new Float32Array(count * perRow),
    logSumExp: new Float32Array(count),
  });
const logits = (count: number): FromStage => ({ type: "logits", id: 1, logits: new Float32Array(count) });

const FROM_STAGE: readonly (readonly [FromStage, RegExp | null])[] = [
  [candidates({}), null],
  [candidates({ ids: Uint32Array.of(3, 50) }), /token 50 came where there are 50/],
  [candidates({ ids: Uint32Array.of(3) }), /1 ids and 2 logits came of 1 rows of 2 candidates/],
  [candidates({ logits: new Float32Array(3) }), /2 ids and 3 logits/],
  [candidates({ logSumExp: new Float32Array(2) }), /of 2 rows of 2/],
  [candidates({ perRow: 2 ** 32 - 1 }), /candidates came where 50 are the most/],
  [rows(0, 50), null],
  [rows(0, 51), /51 candidates came where 50 are the most/],
  [rows(12), null],
  [rows(13), /13 outputs came where 12 are the most/],
  [logits(0), null],
  [logits(12 * 50), null],
  [logits(13 * 50), /13 outputs/],
  [logits(51), /1.02 rows of logits came/],
];

Deno.test("the server takes candidates and logits of its vocabulary, and no more than a step may have", () => {
  for (const [message, error] of FROM_STAGE) assertTaken(() => toServer.decode(toServer.encode(message)), error);
});

Deno.test("checkAnswer() wants a row for each output", () => {
  for (const message of [rows(2), logits(100)]) {
    assertTaken(() => checkAnswer(message, 2, ROOM), null);
    for (const outputs of [0, 1, 3]) {
      assertTaken(() => checkAnswer(message, outputs, ROOM), /2 rows came of step 1, which has \d outputs/);
    }
  }
  assertTaken(() => checkAnswer({ type: "failed", id: 1, reason: "No" }, 2, ROOM), null);
});

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const REASON = { type: "failed", id: 1, reason: "€".repeat(2000), pages: 1, lost: true } as const;

/** A row of every slot, all of them outputs. */
function longestStep(rows: number, hidden: number): ToStage {
  const segments = upTo(rows).map((slot) => ({ slot, start: 1, rows: 1, from: 1, before: slot, keep: slot + rows }));
  const step = { id: 1, segments, outputs: Uint32Array.from(upTo(rows)), deadline: 1 };
  return { type: "hidden", step, hidden: new Float32Array(rows * hidden), gpuMillis: 1 };
}

Deno.test("maxBytes has room for the longest frames, and for no longer ones", () => {
  const room = { ...ROOM, slots: 300, maxRows: 300, snapshots: 600, hidden: 40 };
  const many = { ...room, snapshots: 30_000 };
  for (
    const [codec, message] of [
      [toStageCodec(room, "hidden", "f32"), longestStep(300, 40)],
      [toStageCodec(room, "hidden", "bf16"), longestStep(300, 40)],
      [toStageCodec(many, "hidden", "bf16"), release(upTo(300), upTo(30_000))],
      [toStageCodec(ROOM, "tokens", "f32"), REASON],
      [toServer, REASON],
      [fromStageCodec({ ...ROOM, maxRows: 100 }), rows(100, 50)],
    ] as const
  ) {
    const { length } = codec.encode(message as never);
    assert.ok(length <= codec.maxBytes && codec.maxBytes - 128 <= length, `${length} of ${codec.maxBytes} bytes`);
    codec.decode(codec.encode(message as never));
  }
});

function assertTaken(take: () => unknown, error: RegExp | null): void {
  if (error === null) take();
  else assert.throws(take, (thrown: unknown) => thrown instanceof FrameError && error.test(thrown.message), `${error}`);
}

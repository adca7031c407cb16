/** Whatever comes in frames that fit, a stage answers it, goes on, and gives others what it would have given. */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import { localLinks } from "../../src/pipeline/link.ts";
import type { FromStage, Segment, ToStage } from "../../src/pipeline/steps.ts";
import { runStage, type StageModel } from "../../src/stage/stage.ts";
import { toStageCodec } from "../../src/wire/codec.ts";
import type { Room } from "../../src/wire/room.ts";
import { testOnBackends } from "../backend/backends.ts";
import { toStage } from "../wire/messages.ts";
import { Stages } from "./stages.ts";
import { openTiny } from "./tiny.ts";

const ROOM: Room = { slots: 3, snapshots: 5, context: 300, maxRows: 8, hidden: 48, vocabulary: 96 };
const LAYERS = { tokens: { start: 0, end: 3 }, hidden: { start: 3, end: 6 } };
const MESSAGES = 150;

/** What a stage answers, in order. */
async function answers(model: StageModel, messages: readonly ToStage[]): Promise<(ToStage | FromStage)[]> {
  const [input, stageInput] = localLinks<never, ToStage>();
  const [output, stageOutput] = localLinks<ToStage | FromStage, never>();
  for (const message of messages) input.send(message);
  input[Symbol.dispose]();
  await runStage(model, stageInput, stageOutput);
  stageOutput[Symbol.dispose]();
  return await Array.fromAsync(output);
}

/** Two sequences that go on from what they kept. */
function honest(input: "tokens" | "hidden"): ToStage[] {
  const both = (start: number, rows: number, more: Partial<Segment> = {}) =>
    [0, 2].map((slot) => ({ slot, start, rows, ...more, ...(more.keep !== undefined && { keep: more.keep + slot }) }));
  const steps = [
    both(0, 4, { keep: 1 }),
    both(4, 3),
    both(7, 1),
    both(4, 2).map((one) => ({ ...one, from: 1 + one.slot })),
  ];
  return steps.map((segments, id): ToStage => {
    const rows = 2 * segments[0]!.rows;
    const step = { id, segments, outputs: Uint32Array.of(rows - 1) };
    if (input === "tokens") {
      return {
        type: "tokens",
        step,
        tokens: Uint32Array.from({ length: rows }, (_, i) => 7 * i),
      };
    }
    return {
      type: "hidden",
      step,
      hidden: Float32Array.from({ length: rows * ROOM.hidden }, (_, i) => Math.sin(i * i)),
    };
  });
}

const all = (count: number) => Array.from({ length: count }, (_, i) => i);
const RELEASE: ToStage = { type: "release", released: { slots: all(ROOM.slots), snapshots: all(ROOM.snapshots) } };

for (const input of ["tokens", "hidden"] as const) {
  testOnBackends(`a stage that takes ${input} survives steps that nobody should send`, async ({ open }) => {
    const { folder } = await openTiny("base");
    using stages = await Stages.open(folder, open, { ...ROOM, layers: [LAYERS[input]] });
    const model = stages.models[0]!;
    const expected = await answers(model, honest(input));
    assert.equal(expected.some(({ type }) => type === "failed"), false);

    const codec = toStageCodec(ROOM, input, "f32");
    const messages = fc.sample(toStage(input, ROOM), { numRuns: MESSAGES, seed: 3 });
    const said = await answers(model, messages.map((message) => codec.decode(codec.encode(message))));
    const given = said.filter(({ type }) => type !== "cancel"); // which goes on at once
    const asked = messages.filter(({ type }) => type !== "cancel" && !(model.last && type === "release"));
    assert.equal(given.length, asked.length);
    const refused = given.flatMap((answer, i) =>
      answer.type === "failed" && asked[i]!.type !== "failed" ? answer.reason : []
    );
    assert.ok(refused.length < MESSAGES / 2, "most are run");
    for (const reason of refused) assert.match(reason, /^Cannot (run the step|read the logits)/);

    await answers(model, [RELEASE]);
    assert.deepEqual(await answers(model, honest(input)), expected);
  });
}

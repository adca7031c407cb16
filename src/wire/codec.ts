/** What stages, and the server they work for, say to each other, as bytes: a change of these raises PROTOCOL. */
import type { Candidates, FromStage, Released, Segment, Step, StepFailure, ToStage } from "../pipeline/steps.ts";
import { bf16Array, f32Array, sentence, u32Array } from "./arrays.ts";
import { Reader, Writer } from "./bytes.ts";
import { checkFromStage, checkToStage } from "./check.ts";
import { finite, flag, type Format, list, optional, refused, struct, u32, u53, union } from "./format.ts";
import { type Activations, mostFromStageBytes, mostToStageBytes, type Room } from "./room.ts";
import type { Codec } from "./wire.ts";

/**
 * Of the hop into a stage: tokens come to the first one, hidden rows to the others. What is read fits the room.
 * @throws {TypeError} in encode() for what works within one computer only: chains of steps, and copies to the host's memory.
 */
export function toStageCodec(room: Room, input: "tokens" | "hidden", activations: Activations): Codec<ToStage> {
  const check = (message: ToStage) => checkToStage(message, input, room);
  return codec(toStage(activations), mostToStageBytes(room, activations), check);
}

/** Of the hop from the last stage back to the server. Whether an answer fits its step only the server knows: see checkAnswer(). */
export function fromStageCodec(room: Room): Codec<FromStage> {
  return codec(fromStage, mostFromStageBytes(room), (message) => checkFromStage(message, room));
}

function codec<Message>(
  format: Format<Message>,
  maxBytes: number,
  check: (message: Message) => void,
): Codec<Message> {
  return {
    maxBytes,
    encode(message) {
      const frame = new Writer();
      format.write(frame, message);
      return frame.finish();
    },
    decode(frame) {
      const reader = new Reader(frame);
      const message = format.read(reader);
      reader.finish();
      check(message);
      return message;
    },
  };
}

// The large arrays stand last in their message, so that they are copied into a frame once.

const segment = struct<Segment>({
  slot: u32,
  start: u32,
  rows: u32,
  from: optional(u32),
  before: optional(u32),
  keep: optional(u32),
});

const chain = optional(refused("chains of steps"));

const step = struct<Step>({
  id: u53,
  segments: list(segment),
  outputs: u32Array,
  draws: chain,
  follows: chain,
  load: optional(refused("loads from the host's memory")),
  deadline: optional(finite),
});

const failed = struct<Omit<StepFailure, "type">>({
  id: u53,
  reason: sentence,
  pages: optional(u32),
  lost: flag,
});

/** Written once each, so that there are never more than there is room for. */
const places: Format<readonly number[]> = {
  ...list(u32),
  write: (to, numbers) => list(u32).write(to, [...new Set(numbers)]),
};

const released = struct<Released>({ slots: places, snapshots: places, order: optional(u53) });

const copies = refused("copies to the host's memory");

type HiddenRows = Omit<Extract<ToStage, { type: "hidden" }>, "type">;

function toStage(activations: Activations): Format<ToStage> {
  return union<ToStage>({
    tokens: struct({ step, tokens: u32Array }),
    hidden: struct<HiddenRows>({
      step,
      gpuMillis: optional(finite),
      hidden: activations === "bf16" ? bf16Array : f32Array,
    }),
    release: struct({ released }),
    store: copies,
    logits: struct({ id: u53 }),
    failed,
    cancel: struct({ id: u53 }),
  });
}

const candidates = struct<Candidates>({
  perRow: u32,
  gpuMillis: optional(finite),
  drawn: chain,
  ids: u32Array,
  logits: f32Array,
  logSumExp: f32Array,
});

const fromStage = union<FromStage>({
  candidates: struct({ id: u53, candidates }),
  logits: struct({ id: u53, logits: f32Array }),
  stored: copies,
  failed,
});

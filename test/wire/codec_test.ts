import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { Step } from "../../src/pipeline/steps.ts";
import { fromStageCodec, toStageCodec } from "../../src/wire/codec.ts";
import { fromStage, ROOM, toStage } from "./messages.ts";

const STEP: Step = { id: 3, segments: [{ slot: 1, start: 0, rows: 1 }], outputs: Uint32Array.of(0) };

/** Equal to the bit: of arrays what is compared are their bytes. */
function assertSame(actual: unknown, expected: unknown): void {
  const bits = (_key: string, value: unknown) =>
    value instanceof Float32Array
      ? ["f32", ...new Uint32Array(value.buffer, value.byteOffset, value.length)]
      : value instanceof Uint32Array
      ? ["u32", ...value]
      : value;
  assert.deepEqual(JSON.parse(JSON.stringify(actual, bits)), JSON.parse(JSON.stringify(expected, bits)));
}

for (const input of ["tokens", "hidden"] as const) {
  Deno.test(`what is sent to a stage that takes ${input} comes as it was`, () => {
    const codec = toStageCodec(ROOM, input, "f32");
    fc.assert(fc.property(toStage(input), (message) => {
      const frame = codec.encode(message);
      assertSame(codec.decode(frame), message);
      assert.ok(frame.length <= codec.maxBytes);
    }));
  });
}

Deno.test("what a stage answers comes as it was", () => {
  const codec = fromStageCodec(ROOM);
  fc.assert(fc.property(fromStage(), (message) => {
    const frame = codec.encode(message);
    assertSame(codec.decode(frame), message);
    assert.ok(frame.length <= codec.maxBytes);
  }));
});

Deno.test("decode() gives tensors that own their buffers, whatever lies under the frame", () => {
  const hidden = Float32Array.from({ length: ROOM.hidden }, (_, i) => i + 0.5);
  for (const activations of ["f32", "bf16"] as const) {
    const codec = toStageCodec(ROOM, "hidden", activations);
    const frame = codec.encode({ type: "hidden", step: STEP, hidden });
    for (const offset of [0, 1, 2, 3]) {
      const under = Buffer.alloc(frame.length + offset); // whose slice() copies nothing
      under.set(frame, offset);
      const message = codec.decode(under.subarray(offset));
      under.fill(255);
      assert(message.type === "hidden");
      assert.deepEqual(message.hidden, hidden);
      assert.equal(message.hidden.buffer.byteLength, hidden.byteLength);
      assert.deepEqual(message.step.outputs, STEP.outputs);
    }
  }
});

Deno.test("encode() copies a part of a buffer, which may change afterwards", () => {
  const codec = toStageCodec(ROOM, "hidden", "f32");
  const hidden = new Float32Array(3 * ROOM.hidden).subarray(ROOM.hidden, 2 * ROOM.hidden).fill(7);
  const frame = codec.encode({ type: "hidden", step: STEP, hidden });
  hidden.fill(0);
  const message = codec.decode(frame);
  assert(message.type === "hidden" && message.hidden.every((value) => value === 7));
});

Deno.test("bf16 is rounded to the nearest, of two as near to the even one, and NaN and infinities stay", () => {
  const room = { ...ROOM, hidden: 7 * 2 ** 16 };
  const below = [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1234];
  const bits = Uint32Array.from({ length: room.hidden }, (_, i) => (i % 2 ** 16) << 16 | below[i >>> 16]!);
  const hidden = new Float32Array(bits.buffer);
  const codec = toStageCodec(room, "hidden", "bf16");
  const message = codec.decode(codec.encode({ type: "hidden", step: STEP, hidden }));
  assert(message.type === "hidden");
  const wrong = hidden.findIndex((value, i) => !Object.is(message.hidden[i], nearestBf16(value)));
  assert.equal(wrong, -1, `${hidden[wrong]} came as ${message.hidden[wrong]}`);
});

const scratch = new DataView(new ArrayBuffer(4));

/** By comparing distances to both neighbours, in f64; those beyond the largest are infinite from half a step on. */
function nearestBf16(value: number): number {
  if (!Number.isFinite(value)) return value;
  scratch.setFloat32(0, value);
  const near = scratch.getUint16(0);
  const far = near + 1;
  const at = (upper: number) => (scratch.setUint32(0, upper << 16), scratch.getFloat32(0));
  const step = Math.abs(at(near) - at(near - 1));
  const farther = Number.isFinite(at(far)) ? at(far) : at(near) + Math.sign(value) * step;
  const [below, above] = [Math.abs(value - at(near)), Math.abs(farther - value)];
  return at(below < above || (below === above && near % 2 === 0) ? near : far);
}

Deno.test("encode() refuses what works within one computer only", () => {
  const codec = toStageCodec(ROOM, "tokens", "f32");
  const tokens = Uint32Array.of(1);
  const within = /Cannot send .* over a network: this works within one computer only/;
  for (
    const message of [
      { type: "tokens", step: { ...STEP, draws: [[]] }, tokens },
      { type: "tokens", step: { ...STEP, follows: true }, tokens },
      { type: "tokens", step: { ...STEP, load: { pages: [0], state: null } }, tokens },
      { type: "store", id: 1, store: { snapshot: 0, pages: [], state: null } },
    ] as const
  ) {
    assert.throws(
      () => codec.encode(message),
      (error: Error) => error instanceof TypeError && within.test(error.message),
    );
  }
  assert.throws(() => fromStageCodec(ROOM).encode({ type: "stored", id: 1 }), within);
});

Deno.test("encode() refuses numbers that have no form", () => {
  const codec = toStageCodec(ROOM, "tokens", "f32");
  for (const id of [-1, 0.5, NaN, 2 ** 53]) assert.throws(() => codec.encode({ type: "logits", id }), RangeError);
  for (const slots of [[-1], [0.5], [NaN], [2 ** 32]]) {
    assert.throws(() => codec.encode({ type: "release", released: { slots, snapshots: [] } }), RangeError);
  }
  for (const deadline of [NaN, Infinity]) {
    const step = { ...STEP, deadline };
    assert.throws(() => codec.encode({ type: "tokens", step, tokens: Uint32Array.of(1) }), RangeError);
  }
});

Deno.test("what is released twice is sent once", () => {
  const codec = toStageCodec(ROOM, "tokens", "f32");
  const frame = codec.encode({ type: "release", released: { slots: [3, 1, 3], snapshots: [8, 8] } });
  assert.deepEqual(codec.decode(frame), { type: "release", released: { slots: [3, 1], snapshots: [8] } });
});

Deno.test("a reason is cut, and moves no terminal's cursor", () => {
  const codec = fromStageCodec(ROOM);
  const reasonOf = (reason: string) => {
    const message = codec.decode(codec.encode({ type: "failed", id: 1, reason }));
    assert(message.type === "failed");
    return message.reason;
  };
  assert.equal(reasonOf("\u001b[2Jone\nline \ufeffand \u{1f642}"), " [2Jone line \ufeffand \u{1f642}");
  assert.equal(reasonOf("€".repeat(5000)), "€".repeat(2000));
  assert.equal(reasonOf("\u{1f642}".repeat(1000) + "x").length, 2000);
  assert.equal(reasonOf("x" + "\u{1f642}".repeat(1000)).at(-1), "\ufffd"); // which was cut in two
});

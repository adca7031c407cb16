import assert from "node:assert/strict";
import fc from "fast-check";
import { fromStageCodec, toStageCodec } from "../../src/wire/codec.ts";
import { fromStage, ROOM, toStage } from "./messages.ts";

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
    fc.assert(fc.property(toStage[input], (message) => {
      const frame = codec.encode(message);
      assertSame(codec.decode(frame), message);
      assert.ok(frame.length <= codec.maxBytes);
    }));
  });
}

Deno.test("what a stage answers comes as it was", () => {
  const codec = fromStageCodec(ROOM);
  fc.assert(fc.property(fromStage, (message) => {
    const frame = codec.encode(message);
    assertSame(codec.decode(frame), message);
    assert.ok(frame.length <= codec.maxBytes);
  }));
});

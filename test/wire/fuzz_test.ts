import assert from "node:assert/strict";
import fc from "fast-check";
import type { FromStage, ToStage } from "../../src/pipeline/steps.ts";
import { fromStageCodec, toStageCodec } from "../../src/wire/codec.ts";
import { FrameError } from "../../src/wire/frame_error.ts";
import type { Codec } from "../../src/wire/wire.ts";
import { fromStage, ROOM, toStage } from "./messages.ts";
import { randomOf } from "../random.ts";

const MESSAGES = 60;
const SEED = 7;

interface Hop<Message> {
  readonly name: string;
  readonly codec: Codec<Message>;
  readonly messages: fc.Arbitrary<Message>;
}

const HOPS: readonly Hop<never>[] = [
  hop("into the first stage", toStageCodec(ROOM, "tokens", "f32"), toStage("tokens")),
  hop("into another stage", toStageCodec(ROOM, "hidden", "f32"), toStage("hidden")),
  hop("into another stage, in bf16", toStageCodec(ROOM, "hidden", "bf16"), toStage("hidden")),
  hop("to the server", fromStageCodec(ROOM), fromStage()),
];

function hop<M extends ToStage | FromStage>(name: string, codec: Codec<M>, messages: fc.Arbitrary<M>): Hop<never> {
  return { name, codec, messages } as unknown as Hop<never>;
}

const framesOf = ({ codec, messages }: Hop<never>) =>
  fc.sample(messages, { numRuns: MESSAGES, seed: SEED }).map((message) => codec.encode(message));

/** Whether bytes are a message, and then one that has just these bytes; all others are a FrameError. */
function isMessage(codec: Codec<never>, frame: Uint8Array): boolean {
  let message: never;
  try {
    message = codec.decode(frame);
  } catch (error) {
    assert.ok(error instanceof FrameError, `${error} for ${frame.toHex()}`);
    assert.match(error.message, /^Cannot .{10,}[^.]$/);
    return false;
  }
  assert.equal(codec.encode(message).toHex(), frame.toHex());
  return true;
}

for (const { name, codec, ...rest } of HOPS) {
  const frames = framesOf({ name, codec, ...rest });

  Deno.test(`frames ${name} that are cut anywhere, or go on, are no messages`, () => {
    for (const frame of frames) {
      for (let length = 0; length < frame.length; length++) assert(!isMessage(codec, frame.subarray(0, length)));
      assert(!isMessage(codec, Uint8Array.of(...frame, 0)));
    }
  });

  Deno.test(`frames ${name} with some bits flipped are messages or a FrameError`, () => {
    const random = randomOf(SEED);
    let refused = 0;
    for (const frame of frames) {
      for (let i = 0; i < 200; i++) {
        const flipped = frame.slice();
        for (let flips = 1 + random(3); flips > 0; flips--) flipped[random(frame.length)]! ^= 1 << random(8);
        if (!isMessage(codec, flipped)) refused++;
      }
    }
    assert.ok(refused > MESSAGES, `only ${refused} were refused`);
  });

  Deno.test(`random bytes ${name} are messages or a FrameError`, () => {
    const random = randomOf(SEED + 1);
    for (let i = 0; i < 5000; i++) {
      const bytes = Uint8Array.from({ length: random(80) }, () => random(256));
      bytes[0] = random(8); // else nearly all have no type
      isMessage(codec, bytes);
    }
  });

  Deno.test(`frames ${name} that tell of more than they hold take no memory for it`, () => {
    const used = () => Deno.memoryUsage().heapUsed + Deno.memoryUsage().external;
    for (const frame of frames) {
      for (let at = 0; at + 4 <= frame.length; at++) {
        const longer = frame.slice();
        new DataView(longer.buffer).setUint32(at, 2 ** 26, true);
        const before = used();
        isMessage(codec, longer);
        assert.ok(used() - before < 2 ** 21, `${used() - before} bytes for ${longer.toHex()}`);
      }
    }
  });
}

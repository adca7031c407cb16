import assert from "node:assert/strict";
import { fromStageCodec, toStageCodec } from "../../src/wire/codec.ts";
import { ROOM } from "./messages.ts";

const room = { ...ROOM, hidden: 2, vocabulary: 10 };
const toFirst = toStageCodec(room, "tokens", "f32");
const toOther = toStageCodec(room, "hidden", "f32");
const toOtherInHalf = toStageCodec(room, "hidden", "bf16");
const toServer = fromStageCodec({ ...room, vocabulary: 3 });

const segments = [{ slot: 1, start: 40, rows: 2, from: 3, keep: 7 }, { slot: 0, start: 0, rows: 1, before: 2 }];
const step = { id: 2 ** 40 + 5, segments, outputs: Uint32Array.of(1, 2), deadline: 1500.5 };
const hidden = Float32Array.of(1, -2.5, 1 + 2 ** -7, Infinity, -0, 2 ** -133);
const candidates = {
  perRow: 2,
  ids: Uint32Array.of(2, 0),
  logits: Float32Array.of(4, 3),
  logSumExp: Float32Array.of(4.5),
  gpuMillis: 2,
};

/** All programs of one protocol have these bytes: who changes them raises PROTOCOL (src/pool/protocol.ts). */
const GOLDENS = [
  [
    toFirst,
    { type: "tokens", step, tokens: Uint32Array.of(9, 8, 7) },
    "000500000000010000020000000100000028000000020000000103000000000107000000000000000000000001000000000102000000000200000000010000000200000000000001000000000072974003000000090000000800000007000000",
  ],
  [
    toOther,
    { type: "hidden", step, hidden, gpuMillis: 0.25 },
    "010500000000010000020000000100000028000000020000000103000000000107000000000000000000000001000000000102000000000200000000010000000200000000000001000000000072974001000000000000d03f060000000000000000803f000020c00000813f0000807f0000008000000100",
  ],
  [
    toOtherInHalf,
    { type: "hidden", step: { ...step, id: 0 }, hidden },
    "0100000000000000000200000001000000280000000200000001030000000001070000000000000000000000010000000001020000000002000000000100000002000000000000010000000000729740000600000000803f20c0813f807f00800100",
  ],
  [
    toFirst,
    { type: "release", released: { slots: [4], snapshots: [0, 8], order: 77 } },
    "020100000004000000020000000000000008000000014d00000000000000",
  ],
  [toOther, { type: "logits", id: 12 }, "040c00000000000000"],
  [toOther, { type: "cancel", id: 12 }, "060c00000000000000"],
  [
    toOther,
    { type: "failed", id: 12, reason: "Cannot: é", pages: 40, lost: true },
    "050c000000000000000a00000043616e6e6f743a20c3a9012800000001",
  ],
  [
    toServer,
    { type: "candidates", id: 12, candidates },
    "000c000000000000000200000001000000000000004000020000000002000000000000000200000000008040000040400100000000009040",
  ],
  [
    toServer,
    { type: "logits", id: 12, logits: Float32Array.of(0.5, -1, 2) },
    "010c00000000000000030000000000000000003f000080bf00000040",
  ],
  [toServer, { type: "failed", id: 12, reason: "" }, "030c00000000000000000000000000"],
] as const;

Deno.test("frames have the bytes that all programs of this protocol have", () => {
  for (const [codec, message, hex] of GOLDENS) {
    const golden = Uint8Array.fromHex(hex);
    assert.equal(codec.encode(message as never).toHex(), golden.toHex(), message.type);
    assert.deepEqual(codec.decode(golden), message);
  }
});

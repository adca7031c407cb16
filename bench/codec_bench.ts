/** Frames between stages, at the sizes of Ring-mini-linear-2.0, beside a plain copy of as many bytes. */
import type { FromStage, ToStage } from "../src/pipeline/steps.ts";
import { fromStageCodec, toStageCodec } from "../src/wire/codec.ts";
import type { Room } from "../src/wire/room.ts";

const H = 2048;
const ROOM: Room = { slots: 32, snapshots: 64, context: 131072, maxRows: 4096, hidden: H, vocabulary: 157_184 };

/** A chunk of one prompt, or as many sequences that decode. */
function hidden(rows: number, sequences: number): ToStage {
  const each = rows / sequences;
  const segments = Array.from({ length: sequences }, (_, slot) => ({ slot, start: 4096, rows: each, keep: slot }));
  const outputs = Uint32Array.from({ length: sequences }, (_, i) => (i + 1) * each - 1);
  const values = Float32Array.from({ length: rows * H }, (_, i) => Math.sin(i));
  return { type: "hidden", step: { id: 123456, segments, outputs, deadline: 10_000 }, hidden: values };
}

function candidates(rows: number): FromStage {
  const [ids, logits] = [new Uint32Array(rows * 64), new Float32Array(rows * 64)];
  return { type: "candidates", id: 123456, candidates: { perRow: 64, ids, logits, logSumExp: new Float32Array(rows) } };
}

for (const [rows, sequences] of [[1, 1], [32, 32], [1024, 1], [4096, 1]] as const) {
  const message = hidden(rows, sequences);
  const group = `${rows} hidden rows, ${rows * H * 4 / 2 ** 20} MiB in f32`;
  const plain = new Uint8Array(rows * H * 4);
  Deno.bench(`copy of ${group}`, { group, baseline: true }, () => void plain.slice());
  for (const activations of ["f32", "bf16"] as const) {
    const codec = toStageCodec(ROOM, "hidden", activations);
    const frame = codec.encode(message);
    Deno.bench(`encode ${activations}, ${rows} rows`, { group }, () => void codec.encode(message));
    Deno.bench(`decode ${activations}, ${rows} rows`, { group }, () => void codec.decode(frame));
  }
}

for (const rows of [1, 32]) {
  const codec = fromStageCodec(ROOM);
  const message = candidates(rows);
  const frame = codec.encode(message);
  const group = `candidates of ${rows}`;
  Deno.bench(`encode ${group}`, { group }, () => void codec.encode(message));
  Deno.bench(`decode ${group}`, { group }, () => void codec.decode(frame));
}

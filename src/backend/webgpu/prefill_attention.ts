/** Attention of many rows: spans of 64 rows of a segment, as matrix products in workgroup memory. */
import { type Constants, SHADERS } from "../../../shaders/mod.ts";
import type { Heads, LinearAttention } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import type { Part } from "./memory.ts";
import type { Counts } from "./plan.ts";
import { byTiles } from "./prefill_dense.ts";
import { type Recording, whole } from "./recording.ts";
import type { Cache } from "./softmax_attention.ts";

/** Rows of a span. */
const SPAN = 64;

/** What shaders/lib/attention_tile.wgsl takes. */
const WORKGROUP_BYTES = 28 * 1024;
const MAX_CHANNELS = 128;

const TILES: Constants = { LANES: 256, ACROSS: 16, DOWN: 16, SPAN };

/** Spans that steps may have: every segment's last one may be short. */
const spansOf = ({ rows, segments }: Pick<Counts, "rows" | "segments">): number => Math.floor(rows / SPAN) + segments;

const chunkStates = ({ capacity }: Recording, { heads, headDim }: Heads): number =>
  spansOf(capacity) * heads * headDim ** 2;

/** Whether attention of this plan goes by spans. */
export function bySpans({ device, capacity }: Recording, { headDim }: Heads): boolean {
  const room = device.gpu.limits.maxComputeWorkgroupStorageSize >= WORKGROUP_BYTES;
  return byTiles(capacity.rows) && headDim <= MAX_CHANNELS && room;
}

/** Whether the device binds the states of all chunks of a plan. */
export function byChunks(recording: Recording, how: Heads): boolean {
  return bySpans(recording, how) && 4 * chunkStates(recording, how) <= recording.device.maxBindingBytes;
}

/**
 * {@linkcode Ops.linearAttention} between the rotation and the norm: what every chunk adds to the state, the states between
 * chunks, and what each chunk's rows make of theirs. `parts` are counted in heads' states.
 */
export function chunkedAttention(
  recording: Recording,
  out: Tensor,
  qkv: Tensor,
  parts: readonly Part[],
  how: LinearAttention,
): void {
  const { heads, headDim } = how;
  const decay = decayPowers(recording, how.logDecay);
  const states = recording.scratch("chunk states", chunkStates(recording, how));
  const constants = { ...TILES, SIZE: headDim };
  const workgroups = (counts: Counts) => spansOf(counts) * heads;
  recording.dispatch(SHADERS.chunkStates, { constants, workgroups }, { qkv: whole(qkv), decay, states }, { heads });
  for (const { buffer, first, count } of parts) {
    recording.dispatch(
      SHADERS.scanStates,
      {
        constants: { LANES: SPAN, SPAN, SIZE: headDim },
        workgroups: ({ segments }) => segments * heads * Math.ceil(headDim ** 2 / 4 / SPAN),
      },
      { decay, states, state: buffer },
      { heads, first, count },
    );
  }
  recording.dispatch(
    SHADERS.chunkOutputs,
    { constants, workgroups },
    { qkv: whole(qkv), decay, states, out: whole(out) },
    { heads },
  );
}

/** exp(g n) for n = 0 … SPAN, [heads, SPAN + 1]; float64 here, as the device's exp() is coarse and its errors add up over a text. */
function decayPowers({ memory, device }: Recording, logDecay: readonly number[]): GPUBuffer {
  const powers = logDecay.flatMap((g) => Array.from({ length: SPAN + 1 }, (_, n) => Math.exp(g * n)));
  const buffer = memory.buffer("decay", 4 * powers.length);
  device.gpu.queue.writeBuffer(buffer, 0, Float32Array.from(powers));
  return buffer;
}

/** {@linkcode Ops.softmaxAttention} behind the rotation and the appending. */
export function flashAttention(
  recording: Recording,
  out: Tensor,
  qkv: Tensor,
  { type, page, quads, blocks }: Cache,
  { heads, kvHeads, headDim }: Heads,
): void {
  const { rows, rounds = 1 } = recording.capacity;
  const carry = recording.scratch("carry of spans", 2 * 16 * rows * heads);
  const progress = recording.scratch("progress", rows * heads);
  for (let round = 0; round < rounds; round++) {
    blocks.forEach(({ keys, values, first, count }, i) => {
      const FIRST = round === 0 && i === 0;
      recording.dispatch(
        SHADERS.flashAttention,
        {
          constants: { ...TILES, SIZE: headDim, PAGE: page, QUADS: quads, FIRST },
          cache: type,
          workgroups: (counts) => FIRST || counts.blocks[i] !== "none" ? spansOf(counts) * heads : 0,
        },
        { qkv: whole(qkv), keys, values, carry, out: whole(out), progress },
        { heads, kv_heads: kvHeads, first, count },
      );
    });
  }
}

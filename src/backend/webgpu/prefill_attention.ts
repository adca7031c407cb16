/** Attention of many rows: spans of neighbouring rows of a segment, as matrix products in workgroup memory. */
import { type Constants, SHADERS } from "../../../shaders/mod.ts";
import type { Heads, LinearAttention } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import type { Device } from "./device.ts";
import { matrixConstants, tileBytes } from "./matrices.ts";
import type { Counts } from "./plan.ts";
import { byTiles } from "./prefill_dense.ts";
import { type Recording, whole } from "./recording.ts";
import type { Cache } from "./cached_rows.ts";

/** A tile of attention (shaders/lib/attention_tile.wgsl): threads down, 8 rows each, and the workgroup memory that it takes. */
interface Tile {
  readonly down: number;
  readonly bytes: number;
}

const SMALL: Tile = { down: 8, bytes: 26 * 1024 };
const LARGE: Tile = { down: 16, bytes: 42 * 1024 };

const MAX_CHANNELS = 128;

const tileRows = ({ down }: Tile): number => 8 * down;

const constantsOf = ({ down }: Tile): Constants => ({ LANES: 16 * down, ACROSS: 16, DOWN: down });

const holds = ({ gpu }: Device, { bytes }: Tile): boolean => gpu.limits.maxComputeWorkgroupStorageSize >= bytes;

/** Large tiles that keep a GPU busy; with fewer, half of it would idle. */
const MANY_TILES = 128;

/** Rows of a chunk of linear attention. */
const SPAN = tileRows(SMALL);

/** Spans of so many rows that steps may have: every segment's last one may be short. */
const spansOf = ({ rows, segments }: Pick<Counts, "rows" | "segments">, span: number): number =>
  Math.floor(rows / span) + segments;

const chunkStates = ({ capacity }: Recording, { heads, headDim }: Heads): number =>
  spansOf(capacity, SPAN) * heads * headDim ** 2;

/** Whether attention of this plan goes by spans. */
export function bySpans({ device, capacity }: Recording, { headDim }: Heads): boolean {
  return byTiles(capacity.rows) && headDim <= MAX_CHANNELS && holds(device, SMALL);
}

/** Whether the device binds the states of all chunks of a plan. */
export function byChunks(recording: Recording, how: Heads): boolean {
  return bySpans(recording, how) && 4 * chunkStates(recording, how) <= recording.device.maxBindingBytes;
}

/**
 * {@linkcode Ops.linearAttention} between the rotation and the norm: what every chunk adds to the state, the states between
 * chunks, and what each chunk's rows make of theirs.
 */
export function chunkedAttention(
  recording: Recording,
  out: Tensor,
  qkv: Tensor,
  state: Tensor,
  how: LinearAttention,
): void {
  const { heads, headDim } = how;
  const decay = decayPowers(recording, how.logDecay);
  const states = recording.scratch("chunk states", chunkStates(recording, how));
  const workgroups = (counts: Counts) => spansOf(counts, SPAN) * heads;
  recording.dispatch(
    SHADERS.chunkStates,
    { constants: { LANES: 256, ACROSS: 16, DOWN: 16, SPAN, SIZE: headDim }, workgroups },
    { qkv: whole(qkv), decay, states },
    { heads },
  );
  recording.dispatch(
    SHADERS.scanStates,
    {
      constants: { LANES: SPAN, SPAN, SIZE: headDim },
      workgroups: ({ segments }) => segments * heads * Math.ceil(headDim ** 2 / 4 / SPAN),
    },
    { decay, states, state: whole(state) },
    { heads },
  );
  recording.dispatch(
    SHADERS.chunkOutputs,
    { constants: { ...constantsOf(SMALL), SPAN, SIZE: headDim }, workgroups },
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

/** How a span of rows is computed, for so many heads that share a key. */
interface SpanKernel {
  readonly shader: typeof SHADERS.flashAttention | typeof SHADERS.matrixAttention;
  readonly constants: Constants;
  readonly span: number;
  readonly queries: number;
}

/** By threads, each of which sums up 8 rows. */
function threadKernel({ device, capacity: { rows } }: Recording, { heads, kvHeads }: Heads): SpanKernel {
  const tile = holds(device, LARGE) && rows * heads >= MANY_TILES * tileRows(LARGE) ? LARGE : SMALL;
  const queries = [4, 2, 1].find((count) => heads / kvHeads % count === 0)!;
  return { shader: SHADERS.flashAttention, constants: constantsOf(tile), span: tileRows(tile) / queries, queries };
}

/** {@linkcode Ops.softmaxAttention} behind the rotation and the appending. A row's bits are the same in any tile of a kernel. */
export function flashAttention(
  recording: Recording,
  out: Tensor,
  qkv: Tensor,
  { type, page, quads, blocks }: Cache,
  how: Heads,
): void {
  const { heads, kvHeads, headDim } = how;
  const { capacity: { rows, rounds = 1 } } = recording;
  const carry = recording.scratch("carry of spans", 2 * 16 * rows * heads);
  const progress = recording.scratch("progress", rows * heads);
  const { shader, constants, span, queries } = matrixAttention(recording, how) ?? threadKernel(recording, how);
  for (let round = 0; round < rounds; round++) {
    blocks.forEach(({ keys, values, first, count }, i) => {
      const begun = round > 0 || i > 0;
      recording.dispatch(
        shader,
        {
          constants: { ...constants, SPAN: span, QUERIES: queries, SIZE: headDim, PAGE: page, QUADS: quads },
          cache: type,
          workgroups: (counts) => counts.blocks[i] === "none" && begun ? 0 : spansOf(counts, span) * heads / queries,
        },
        { qkv: whole(qkv), keys, values, carry, out: whole(out), progress },
        { heads, kv_heads: kvHeads, begun: Number(begun), first, count },
      );
    });
  }
}

/** Subgroups of a workgroup that computes on matrix units. */
const DOWN = 4;

/** By matrix units (shaders/matrix_attention.wgsl), for heads that they divide; null for others. */
function matrixAttention(
  { device: { gpu, matrices } }: Recording,
  { heads, kvHeads, headDim }: Heads,
): SpanKernel | null {
  if (matrices === null) return null;
  const { m, n, k, subgroup } = matrices;
  const keys = 2 * n; // at a time
  const team = subgroup / m; // threads that share a row
  const fits = headDim % keys === 0 && headDim % k === 0 && headDim <= 8 * Math.min(n, k) &&
    keys * headDim / 8 <= 4 * DOWN * subgroup;
  const shares = Number.isInteger(team) && team <= 4 && keys % (8 * team) === 0 && keys / team <= 16 &&
    keys % k === 0 && keys <= 2 * k;
  const queries = [4, 2, 1].find((count) => heads / kvHeads % count === 0)!;
  const vectors = 3 * keys * (headDim / 8 + 1) + DOWN * m * (keys / 4 + keys / 8 + 2); // of 16 bytes
  if (!fits || !shares || 16 * vectors > tileBytes(gpu)) return null;
  const constants = { ...matrixConstants(matrices), DOWN, LANES: DOWN * subgroup };
  return { shader: SHADERS.matrixAttention, constants, span: DOWN * m / queries, queries };
}

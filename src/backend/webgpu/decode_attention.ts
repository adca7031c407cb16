/** Linear attention of few rows: each one's step of the recurrence, with all that comes before it. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { LinearAttention } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import { type Recording, whole } from "./recording.ts";
import { computesByStrips } from "./software_products.ts";

/** Groups of lanes that share out the key channels of a state. */
const MOST_GROUPS = 16;

/** Leaves o in `out`, before group norm and gate. */
export function decodeLinearAttention(
  recording: Recording,
  out: Tensor,
  qkv: Tensor,
  state: Tensor,
  { heads, headDim, silu, queryNorm, keyNorm, rope, logDecay }: LinearAttention,
): void {
  const { device, memory } = recording;
  const { nothing } = memory;
  const half = rope?.shape.at(-1) ?? 0;
  const bySlices = computesByStrips(device) && headDim % (8 * device.lanes) === 0 && half % 8 === 0;
  const columns4 = headDim / 4;
  const ACROSS = [8, 4, 2, 1].find((count) => columns4 % count === 0)!;
  // Two blocks of four key channels a lane where heads have 128: enough reads under way, and few sums to add.
  const LANES = device.software
    ? device.lanes
    : Math.max(device.lanes, ACROSS * Math.min(MOST_GROUPS, 2 ** Math.floor(Math.log2(columns4))));
  const decay = decayFactors(recording, logDecay);
  const constants = { SIZE: headDim, SILU: silu, NORM: queryNorm !== null, ROTATE: rope !== null };
  recording.dispatch(
    bySlices ? SHADERS.softwareLinearAttention : SHADERS.decodeLinearAttention,
    {
      constants: bySlices ? constants : { ...constants, LANES, ACROSS, ROWS: recording.capacity.rows === 1 ? 1 : 2 },
      workgroups: ({ segments }) => segments * heads * (bySlices ? headDim / 8 / device.lanes : columns4 / ACROSS),
    },
    {
      qkv: whole(qkv),
      query_weight: queryNorm === null ? nothing : whole(queryNorm.weight),
      key_weight: keyNorm === null ? nothing : whole(keyNorm.weight),
      rope: rope === null ? nothing : whole(rope),
      decay,
      state: whole(state),
      out: whole(out),
    },
    { heads, half, query_epsilon: queryNorm?.eps ?? 0, key_epsilon: keyNorm?.eps ?? 0 },
  );
}

/** What the state of each head is multiplied by for every row: by exp() of float64, as the device's own is coarse and its errors add up over a text. */
export function decayFactors({ device, memory }: Recording, logDecay: readonly number[]): GPUBuffer {
  const factors = memory.buffer("decay", 4 * logDecay.length);
  device.gpu.queue.writeBuffer(factors, 0, Float32Array.from(logDecay, Math.exp));
  return factors;
}

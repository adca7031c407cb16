/** Linear attention of few rows: each one's step of the recurrence, with all that comes before it. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { LinearAttention } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import type { Part } from "./memory.ts";
import { type Recording, whole } from "./recording.ts";
import { computesByStrips } from "./software_products.ts";

/** Leaves o in `out`, before group norm and gate. `states` are the parts of the state, counted in heads. */
export function decodeLinearAttention(
  recording: Recording,
  out: Tensor,
  qkv: Tensor,
  states: readonly Part[],
  { heads, headDim, silu, queryNorm, keyNorm, rope, logDecay }: LinearAttention,
): void {
  const { device, memory } = recording;
  const { nothing } = memory;
  const half = rope?.shape.at(-1) ?? 0;
  const bySlices = computesByStrips(device) && headDim % (8 * device.lanes) === 0 && half % 8 === 0;
  const columns4 = headDim / 4;
  // One sequence keeps a GPU busy only if many workgroups share it out; the more each does, the less is done twice.
  const most = device.software || recording.capacity.segments > 1 ? 4 : 2;
  const COLUMNS = [4, 2, 1].find((count) => count <= most && columns4 % count === 0)!;
  const LANES = device.software
    ? device.lanes
    : Math.max(device.lanes, Math.min(128, 2 ** Math.floor(Math.log2(headDim))));
  const decay = memory.buffer("decay", 4 * heads);
  // exp() of float64: the device's own is coarse, and its errors add up over a text.
  device.gpu.queue.writeBuffer(decay, 0, Float32Array.from(logDecay, Math.exp));
  const constants = { SIZE: headDim, SILU: silu, NORM: queryNorm !== null, ROTATE: rope !== null };
  for (const { buffer, first, count } of states) {
    recording.dispatch(
      bySlices ? SHADERS.softwareLinearAttention : SHADERS.decodeLinearAttention,
      {
        constants: bySlices ? constants : { ...constants, LANES, COLUMNS },
        workgroups: ({ segments }) => segments * heads * (bySlices ? headDim / 8 / device.lanes : columns4 / COLUMNS),
      },
      {
        qkv: whole(qkv),
        query_weight: queryNorm === null ? nothing : whole(queryNorm.weight),
        key_weight: keyNorm === null ? nothing : whole(keyNorm.weight),
        rope: rope === null ? nothing : whole(rope),
        decay,
        state: buffer,
        out: whole(out),
      },
      {
        heads,
        half,
        first,
        count,
        query_epsilon: queryNorm?.eps ?? 0,
        key_epsilon: keyNorm?.eps ?? 0,
      },
    );
  }
}

/** Linear attention, from the fused projection to the heads' outputs. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Heads, LinearAttention } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import { productsByTiles } from "./batch_products.ts";
import { decodeLinearAttention } from "./decode_attention.ts";
import { byChunks, chunkedAttention } from "./prefill_attention.ts";
import { byTiles } from "./prefill_dense.ts";
import { type Recording, whole } from "./recording.ts";

/** Rows that linear attention treats at once (spec c.6). */
const CHUNK = 32;

/** Workgroup memory that a slice of the state may take, in vec4s: 8 KiB. */
const SLICE = 512;

export function linearAttention(
  recording: Recording,
  out: Tensor,
  qkv: Tensor,
  gate: Tensor,
  state: Tensor,
  how: LinearAttention,
): void {
  const { heads, headDim, groups, groupNorm } = how;
  const finish = () => gatedGroupNorm(recording, out, gate, how);
  checkHeads(how);
  recording.bounds({ places: state.shape[0]!, context: how.rope?.shape[0] ?? Infinity });
  if (!byTiles(recording.capacity.rows)) {
    decodeLinearAttention(recording, out, qkv, state, how);
    const productGates = !productsByTiles(recording, recording.capacity.rows) && heads * headDim / 4 % groups === 0;
    if (productGates) recording.leave(out, { gated: { norm: groupNorm, gate, groups } }, finish);
    else finish();
    return;
  }
  headNormRope(recording, qkv, how);
  if (byChunks(recording, how)) {
    chunkedAttention(recording, out, qkv, state, how);
    return finish();
  }
  const columns4 = headDim / 4;
  const COLUMNS = [4, 2, 1].find((count) => columns4 % count === 0 && count * headDim <= SLICE)!;
  const decay = decayPowers(recording, how.logDecay);
  recording.dispatch(
    SHADERS.linearAttention,
    {
      constants: { LANES: recording.device.wideLanes, SIZE: headDim, COLUMNS, CHUNK },
      workgroups: ({ segments }) => segments * heads * columns4 / COLUMNS,
    },
    { qkv: whole(qkv), decay, state: whole(state), out: whole(out) },
    { heads },
  );
  finish();
}

/** out = groupNorm(out) ⊙ sigmoid(gate) */
function gatedGroupNorm(
  recording: Recording,
  out: Tensor,
  gate: Tensor,
  { heads, headDim, groups, groupNorm }: LinearAttention,
): void {
  recording.dispatch(
    SHADERS.gatedGroupNorm,
    { constants: { LANES: recording.device.wideLanes }, workgroups: ({ rows }) => rows * groups },
    { weight: whole(groupNorm.weight), gate: whole(gate), out: whole(out) },
    { groups, size: heads * headDim / groups, epsilon: groupNorm.eps },
  );
}

/** exp(g n) for n = 0 … CHUNK, [heads, CHUNK + 1]; float64 here, as the device's exp() is coarse and its errors add up over a text. */
function decayPowers({ memory, device }: Recording, logDecay: readonly number[]): GPUBuffer {
  const powers = logDecay.flatMap((g) => Array.from({ length: CHUNK + 1 }, (_, n) => Math.exp(g * n)));
  const buffer = memory.buffer("decay", 4 * powers.length);
  device.gpu.queue.writeBuffer(buffer, 0, Float32Array.from(powers));
  return buffer;
}

/** SiLU, norm and rotation of the heads, in place. */
function headNormRope(recording: Recording, qkv: Tensor, how: Heads): void {
  const { heads, kvHeads, headDim, silu, queryNorm, keyNorm, rope } = how;
  checkHeads(how);
  if (!silu && queryNorm === null && rope === null) return;
  if (rope !== null) recording.bounds({ context: rope.shape[0]! });
  const { nothing } = recording.memory;
  const active = heads + (silu ? 2 : 1) * kvHeads;
  recording.dispatch(
    SHADERS.headNormRope,
    {
      constants: { SILU: silu, NORM: queryNorm !== null, ROTATE: rope !== null },
      workgroups: ({ rows }) => rows * active,
    },
    {
      query_weight: queryNorm === null ? nothing : whole(queryNorm.weight),
      key_weight: keyNorm === null ? nothing : whole(keyNorm.weight),
      rope: rope === null ? nothing : whole(rope),
      qkv: whole(qkv),
    },
    {
      heads,
      kv_heads: kvHeads,
      size: headDim,
      half: rope?.shape.at(-1) ?? 0,
      query_epsilon: queryNorm?.eps ?? 0,
      key_epsilon: keyNorm?.eps ?? 0,
    },
  );
}

/** @throws {RangeError | TypeError} for heads that kernels cannot read */
export function checkHeads({ headDim, queryNorm, keyNorm }: Heads): void {
  if (headDim % 4 !== 0) throw new RangeError(`Cannot use heads of ${headDim} channels: kernels read 4 at a time`);
  if ((queryNorm === null) !== (keyNorm === null)) {
    throw new TypeError("Cannot use a norm for queries or keys only: the kernel has both or none");
  }
}

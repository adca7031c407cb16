/** Both kinds of attention as calls of kernels. */
import type { Ptr } from "../../../wasm/memory.ts";
import type { CacheBlock, Heads, LinearAttention, Norm } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import { f32, NONE } from "./binding.ts";
import type { Recording } from "./recording.ts";

/** Bound of arrays on the kernels' stack: kernels.h. */
const MAX_HEAD_DIM = 256;

/** Positions that attention takes at once: kernels_attention.h. */
const KEYS = 64;

/** SiLU, norms and rotation of qkv[T, heads + 2 kvHeads, D], in place. */
function prepareHeads(recording: Recording, qkv: Tensor, how: Heads): void {
  const { kernels, step } = recording;
  const { heads, kvHeads, headDim: D, silu, queryNorm, keyNorm } = how;
  if (D % 4 !== 0 || D > MAX_HEAD_DIM) {
    throw new RangeError(`Cannot attend with heads of ${D} channels: use a multiple of 4 up to ${MAX_HEAD_DIM}`);
  }
  const x = f32(qkv);
  const width = (heads + 2 * kvHeads) * D;
  if (silu) recording.calls.push(() => kernels.silu(x, 0, step.rowCount * width));
  prepareRows(recording, x, heads, queryNorm, how);
  prepareRows(recording, x + 4 * heads * D as Ptr<"f32">, kvHeads, keyNorm, how);
}

/** Norm and rotation of `count` heads at the same place of every row. */
function prepareRows(
  { calls, kernels, step }: Recording,
  x: Ptr<"f32">,
  count: number,
  norm: Norm | null,
  { heads, kvHeads, headDim: D, rope }: Heads,
): void {
  if (norm === null && rope === null) return;
  const stride = (heads + 2 * kvHeads) * D;
  const [weight, eps] = norm === null ? [NONE, 0] : [f32(norm.weight), norm.eps];
  const [table, half] = rope === null ? [NONE, 0] : [f32(rope), rope.shape.at(-1)!];
  const { positions } = step;
  calls.push(() => kernels.norm_rope(x, stride, count, D, weight, eps, table, half, positions, 0, step.rowCount));
}

export function recordLinearAttention(
  recording: Recording,
  [out, qkv, gate, state]: readonly [out: Tensor, qkv: Tensor, gate: Tensor, state: Tensor],
  how: LinearAttention,
): void {
  prepareHeads(recording, qkv, how);
  const { calls, kernels, step, bindings } = recording;
  const { heads, headDim: D, groupNorm: { weight, eps }, groups } = how;
  const [y, x, s, decays, segments] = [f32(out), f32(qkv), f32(state), bindings.decays(how), step.segments];
  calls.push(() => kernels.linear_attention(y, x, s, decays, segments, step.segmentCount, heads, D, 0, heads));
  const [g, w, width] = [f32(gate), f32(weight), heads * D];
  calls.push(() => kernels.group_norm_gate(y, g, w, eps, width, groups, 0, step.rowCount));
}

export function recordSoftmaxAttention(
  recording: Recording,
  [out, qkv]: readonly [out: Tensor, qkv: Tensor],
  blocks: readonly CacheBlock[],
  how: Heads,
): void {
  prepareHeads(recording, qkv, how);
  const { calls, kernels, step, bindings, scratch } = recording;
  const { heads, kvHeads, headDim: D } = how;
  const [y, x, cache] = [f32(out), f32(qkv), bindings.cache(blocks)];
  const { segments, pages, mostPages } = step;
  const widened = scratch.get("widened values", "f32", KEYS * D);
  calls.push(() => kernels.append(cache, pages, mostPages, x, segments, step.segmentCount, heads, kvHeads, D));
  calls.push(() =>
    kernels.attention(
      ...[y, x, cache, pages, mostPages, segments, step.segmentCount, heads, kvHeads, D, widened, 0, kvHeads] as const,
    )
  );
}

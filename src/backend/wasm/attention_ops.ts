/** Both kinds of attention as calls of kernels. */
import type { Ptr } from "../../../wasm/memory.ts";
import type { CacheBlock, Heads, LinearAttention, Norm } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import { f32, NONE } from "./binding.ts";
import { elements, type Recording, rows } from "./recording.ts";

/** Bound of arrays on the kernels' stack: kernels.h. */
const MAX_HEAD_DIM = 256;

/** Positions that attention takes at once: kernels_attention.h. */
const KEYS = 64;

/** Multiplications of a row and a kv head, which depend on how many positions there are before. */
const ATTENTION_WORK = 1 << 16;

/** SiLU, norms and rotation of qkv[T, heads + 2 kvHeads, D], in place. */
function prepareHeads(recording: Recording, qkv: Tensor, how: Heads): void {
  const { heads, kvHeads, headDim: D, silu, queryNorm, keyNorm } = how;
  if (D % 4 !== 0 || D > MAX_HEAD_DIM) {
    throw new RangeError(`Cannot attend with heads of ${D} channels: use a multiple of 4 up to ${MAX_HEAD_DIM}`);
  }
  const x = f32(qkv);
  const width = (heads + 2 * kvHeads) * D;
  if (silu) recording.call("silu", [x, "begin", "end"], elements(width));
  prepareRows(recording, x, heads, queryNorm, how);
  prepareRows(recording, x + 4 * heads * D as Ptr<"f32">, kvHeads, keyNorm, how, "beside");
}

/** Norm and rotation of `count` heads at the same place of every row. */
function prepareRows(
  recording: Recording,
  x: Ptr<"f32">,
  count: number,
  norm: Norm | null,
  { heads, kvHeads, headDim: D, rope }: Heads,
  when: "call" | "beside" = "call",
): void {
  if (norm === null && rope === null) return;
  const stride = (heads + 2 * kvHeads) * D;
  const [weight, eps] = norm === null ? [NONE, 0] : [f32(norm.weight), norm.eps];
  const [table, half] = rope === null ? [NONE, 0] : [f32(rope), rope.shape.at(-1)!];
  const { positions } = recording.step;
  recording[when](
    "norm_rope",
    [x, stride, count, D, weight, eps, table, half, positions, "begin", "end"],
    rows(12 * count * D),
  );
}

export function recordLinearAttention(
  recording: Recording,
  [out, qkv, gate, state]: readonly [out: Tensor, qkv: Tensor, gate: Tensor, state: Tensor],
  how: LinearAttention,
): void {
  prepareHeads(recording, qkv, how);
  recording.states.push(state);
  const { step, bindings } = recording;
  const { heads, headDim: D, groupNorm: { weight, eps }, groups } = how;
  const [y, x, s, decays, width] = [f32(out), f32(qkv), f32(state), bindings.decays(how), heads * D];
  recording.call(
    "linear_attention",
    [y, x, s, decays, step.segments, heads, D, "begin", "end"],
    { size: heads, each: "segmentCount", work: 4 * D * D, times: "rowCount", grain: 1 },
  );
  recording.call(
    "group_norm_gate",
    [y, f32(gate), f32(weight), eps, width, groups, "begin", "end"],
    rows(32 * width),
  );
}

export function recordSoftmaxAttention(
  recording: Recording,
  [out, qkv]: readonly [out: Tensor, qkv: Tensor],
  blocks: readonly CacheBlock[],
  how: Heads,
): void {
  prepareHeads(recording, qkv, how);
  const { step, bindings, scratch } = recording;
  const { heads, kvHeads, headDim: D } = how;
  const [y, x, cache] = [f32(out), f32(qkv), bindings.cache(blocks)];
  const { segments, pages, mostPages } = step;
  const widened = scratch.own("widened values", "f32", KEYS * D);
  recording.call(
    "append",
    [cache, pages, mostPages, x, segments, "segmentCount", heads, kvHeads, D, "begin", "end"],
    { size: kvHeads, work: 4 * D, times: "rowCount", grain: 1 },
  );
  recording.call(
    "attention",
    [y, x, cache, pages, mostPages, segments, "segmentCount", heads, kvHeads, D, widened, "rowCount", "begin", "end"],
    { size: kvHeads, each: "rowCount", work: ATTENTION_WORK, grain: 1 },
  );
}

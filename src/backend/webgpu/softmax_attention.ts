/** Softmax attention over a cache in pages: rows made ready, then few rows by units of positions, or many by spans. */
import type { CacheBlock, Heads } from "../backend.ts";
import type { Tensor } from "../tensor.ts";
import { checkHeads } from "./attention_ops.ts";
import { append, bindCache } from "./cached_rows.ts";
import { bySpans, flashAttention } from "./prefill_attention.ts";
import type { Recording } from "./recording.ts";
import { attendByUnits, makesOwnRow } from "./unit_attention.ts";

export function softmaxAttention(
  recording: Recording,
  out: Tensor,
  qkv: Tensor,
  blocks: readonly CacheBlock[],
  how: Heads,
): void {
  checkHeads(how);
  const cache = bindCache(recording, blocks, how);
  if (how.rope !== null) recording.bounds({ context: how.rope.shape[0]! });
  const spans = bySpans(recording, how);
  if (spans || !makesOwnRow(recording, cache, how)) append(recording, qkv, cache, how);
  if (spans) flashAttention(recording, out, qkv, cache, how);
  else attendByUnits(recording, out, qkv, cache, how);
}

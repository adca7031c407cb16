/** Copies from tensor to tensor, between passes. */
import type { Copy, Slice } from "../backend.ts";
import { sliceBytes } from "../tensor.ts";
import { own } from "./recording.ts";

/** Copies of so many slices that follow one another on both sides. */
interface Run extends Copy {
  readonly count: number;
}

/** Copies in runs: the device waits for each one before the next to the same tensor. */
function runsOf(copies: readonly Copy[]): Run[] {
  const runs: Run[] = [];
  for (const copy of copies) {
    const last = runs.at(-1);
    if (last && follows(copy.from, last.from, last.count) && follows(copy.to, last.to, last.count)) {
      runs[runs.length - 1] = { ...last, count: last.count + 1 };
    } else runs.push({ ...copy, count: 1 });
  }
  return runs;
}

const follows = (slice: Slice, first: Slice, count: number) =>
  slice.tensor === first.tensor && slice.index === first.index + count;

/** Encodes the copies, part by part where tensors are split. */
export function encodeCopies(encoder: GPUCommandEncoder, copies: readonly Copy[] = []): void {
  for (const { from, to, count } of runsOf(copies)) {
    const bytes = sliceBytes(from.tensor);
    const begin = from.index * bytes;
    for (const source of own(from.tensor).ranges(begin, begin + count * bytes)) {
      const low = to.index * bytes + source.offset;
      for (const target of own(to.tensor).ranges(low, low + source.bytes)) {
        encoder.copyBufferToBuffer(
          source.part.buffer,
          source.from + target.offset,
          target.part.buffer,
          target.from,
          target.bytes,
        );
      }
    }
  }
}

/** Copies from tensor to tensor, between passes. */
import type { Copy } from "../backend.ts";
import { sliceBytes } from "../tensor.ts";
import { own } from "./recording.ts";

/** Encodes the copies, part by part where tensors are split. */
export function encodeCopies(encoder: GPUCommandEncoder, copies: readonly Copy[] = []): void {
  for (const { from, to } of copies) {
    const bytes = sliceBytes(from.tensor);
    const begin = from.index * bytes;
    for (const source of own(from.tensor).ranges(begin, begin + bytes)) {
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

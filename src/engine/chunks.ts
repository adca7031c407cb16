/** Where the chunks of a prompt end: so that what is computed from a kept state has the bits of what is computed from the beginning. */

// The states behind a chunk do not depend, to the bit, on where chunks end, as long as they end at multiples of the alignment (which is one of
// 64, the positions that linear attention takes at once); its last rows, fewer than that, are a chunk of their own.

/** Rows of the chunk at `start` of a prompt of `length`, at most `most`; `stops` are multiples of the alignment at which one has to end. */
export function chunkRows(
  { start, length, most, alignment, stops }: {
    readonly start: number;
    readonly length: number;
    readonly most: number;
    readonly alignment: number;
    readonly stops: readonly number[];
  },
): number {
  const aligned = Math.floor(length / alignment) * alignment;
  if (start >= aligned) return Math.min(most, length - start);
  const stop = Math.min(aligned, ...stops.filter((position) => position > start));
  const rows = Math.min(most, stop - start);
  const next = alignment - start % alignment; // rows until the next multiple
  return rows < next ? rows : rows - (start + rows) % alignment;
}

/** Positions behind which the states of a prompt are kept: its end, its `boundaries`, and distances that double; all aligned. */
export function keptPositions(length: number, alignment: number, boundaries: readonly number[]): number[] {
  const positions = new Set([length, ...boundaries].map((position) => Math.floor(position / alignment) * alignment));
  for (let position = alignment; position < length; position *= 2) positions.add(position);
  return [...positions].filter((position) => 0 < position && position <= length).sort((a, b) => a - b);
}

/** Tells how a model is shared out to several memories. */
import type { StageShare } from "../mod.ts";
import { bytes } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

/** `3 stages: layers 0-6 (3.6 GB), 7-13 (3.7 GB), 14-19 (3.6 GB)`, without keys and values; or `1 stage`. */
export function describeSplit(stages: readonly StageShare[]): string {
  if (stages.length === 1) return "1 stage";
  const shares = stages.map(({ layers: { start, end }, weightBytes, stateBytes, activationBytes }) =>
    `${start}-${end - 1} (${bytes(weightBytes + stateBytes + activationBytes)})`
  );
  return `${stages.length} stages: layers ${shares.join(", ")}`;
}

/** For {@linkcode LoadOptions.onSplit}. */
export const tellSplit = (terminal: Terminal) => (stages: readonly StageShare[]): void =>
  terminal.note(`One WASM memory does not hold the model, so it gets ${describeSplit(stages)}\n`);

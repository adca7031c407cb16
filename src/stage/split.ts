/** How a model is shared out to the memories that WASM computes in, from its files alone. */
import { tensorBytes } from "../backend/wasm/wasm_backend.ts";
import type { ModelConfig } from "../model/config.ts";
import { ropeBytes } from "../model/rope_table.ts";
import { expectedTensors } from "../model/tensor_names.ts";
import type { StageOptions } from "../pipeline/messages.ts";
import { partition, partitionBySize } from "../pipeline/partition.ts";
import type { LayerRange } from "../pipeline/steps.ts";
import { heldBytesOf } from "./held_bytes.ts";
import { largestPart, refusal, shown } from "./memory.ts";
import { type StageSize, stageSize } from "./size.ts";

/** Layers, and what they take. */
export interface StageShare extends StageSize {
  readonly layers: LayerRange;
}

export type SplitOptions =
  & Pick<StageOptions, "model" | "randomWeights" | "quantize" | "kvCache" | "slots" | "maxRows" | "memoryBytes">
  & {
    /** Positions of a slot. */
    readonly context: number;
    /** Positions of all pages, those of a prefix cache among them. */
    readonly positions: number;
    /** Linear states that so many stages keep besides those of the slots. */
    readonly snapshots: (stages: number) => number;
    /** Steps before the last whose logits so many stages keep. */
    readonly keptLogits: (stages: number) => number;
  };

/** What some layers take, if they are one of so many stages. */
export type ShareOf = (layers: LayerRange, stages: number) => StageShare;

/** Tells what any layers of a model take. */
export async function sharesOf(config: ModelConfig, options: SplitOptions): Promise<ShareOf> {
  const bytesOf = await heldBytesOf(config, options);
  const weights = (layers: LayerRange) =>
    expectedTensors(config, layers).map(bytesOf).reduce((sum, bytes) => sum + bytes, 0);
  const each = Array.from({ length: config.layers }, (_, start) => weights({ start, end: start + 1 }));
  const { positions, slots, snapshots, keptLogits } = options;
  return (layers, stages) => {
    const { start, end } = layers;
    // A tied embedding is in the first stage and in the last one, but once if they are the same.
    const bytes = stages === 1 && config.tied
      ? weights(layers)
      : each.slice(start, end).reduce((sum, bytes) => sum + bytes);
    const numbers = { context: positions / slots, snapshots: snapshots(stages), keptLogits: keptLogits(stages) };
    const kept = { ...options, layers, ...numbers };
    const { activationBytes, ...size } = stageSize(config, kept, bytes);
    return { layers, ...size, activationBytes: activationBytes + ropeBytes(config, options.context) };
  };
}

/** What a stage takes from the start. */
export const fixedBytes = ({ weightBytes, stateBytes, activationBytes }: StageSize): number =>
  weightBytes + stateBytes + activationBytes;

/**
 * The least number of stages whose memories hold them, with the keys and values of full slots, or as much of these as there is memory for in
 * the computer, or in the memory of a single layer. Where a layer is too large for a memory, each is a stage.
 */
export function splitByMemory(
  layers: number,
  shareOf: ShareOf,
  { memoryBytes }: Pick<SplitOptions, "memoryBytes">,
  availableBytes: number,
): LayerRange[] {
  const most = tensorBytes(memoryBytes);
  const bytesOf = (range: LayerRange, stages: number, cached: number) => {
    const share = shareOf(range, stages);
    const fixed = fixedBytes(share);
    const bytes = fixed + cached * share.cacheBytes;
    return range.end - range.start === 1 && fixed <= most ? Math.min(bytes, most) : bytes;
  };
  const whole = { start: 0, end: layers };
  const all = shareOf(whole, 1);
  const cached = Math.min(1, Math.max(0, availableBytes - fixedBytes(all)) / Math.max(1, all.cacheBytes));
  if (bytesOf(whole, 1, cached) <= most) return [whole];
  return partitionBySize(layers, (range) => bytesOf(range, 2, cached), most) ?? partition(layers, layers);
}

/**
 * Compares what stages take from the start with the memories that they get; `more` is advice besides.
 * @throws {RangeError} for the first that is too large
 */
export function checkMemories(
  shares: readonly StageShare[],
  options: SplitOptions,
  more: readonly string[],
): void {
  const most = tensorBytes(options.memoryBytes);
  const share = shares.find((share) => fixedBytes(share) > most);
  if (share === undefined) return;
  const why = `it has room for ${shown(most)}`;
  throw refusal("a WASM memory", why, largestPart(share), share, { ...options, layers: share.layers }, more);
}

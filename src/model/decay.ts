/** How fast each head of a linear-attention layer forgets (spec c.5). */
import type { DecayConvention } from "../pipeline/messages.ts";
import type { ModelConfig } from "./config.ts";

const POSITION: Readonly<Record<DecayConvention, (layer: number) => number>> = {
  serving: (layer) => layer,
  hf: (layer) => layer - 1,
  mlx: (layer) => Math.max(0, layer - 1),
};

/** The ALiBi series of slopes, positive and falling but for head counts that are no power of two, [heads]. */
export function alibiSlopes(heads: number): Float64Array {
  const series = (count: number) => Float64Array.from({ length: count }, (_, head) => 2 ** (-8 * (head + 1) / count));
  const power = 2 ** Math.floor(Math.log2(heads));
  const between = series(2 * power).filter((_, head) => head % 2 === 0);
  return Float64Array.of(...series(power), ...between.subarray(0, heads - power));
}

/** Logarithm of what the state is multiplied by at each token, always below 0, [heads]. */
export function logDecay(config: ModelConfig, layer: number, convention: DecayConvention): Float64Array {
  const { layers, heads } = config;
  // The 1e-5 keeps the last layer forgetting.
  const depth = layers === 1 ? 0 : POSITION[convention](layer) / (layers - 1);
  return alibiSlopes(heads).map((slope) => -slope * (1 - depth + 1e-5));
}

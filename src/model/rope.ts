/** Rotary position embedding: frequencies, their scaling for longer contexts, and the table of cosines and sines. */
import type { ModelConfig } from "./config.ts";

/** How frequencies are stretched beyond the context a model was trained on. */
export type RopeScaling =
  | { readonly type: "none" }
  /** All frequencies are divided by `factor`. */
  | { readonly type: "linear"; readonly factor: number }
  /** YaRN (arXiv 2309.00071): low frequencies are divided by `factor`, high ones kept, with a ramp between. */
  | {
    readonly type: "yarn";
    readonly factor: number;
    /** Positions that the model was trained on. */
    readonly original: number;
    /** Turns within `original` from which on a frequency is kept, and up to which it is divided. */
    readonly betaFast: number;
    readonly betaSlow: number;
    /** What cosines and sines are multiplied by. */
    readonly attention: number;
  };

/** Far beyond any use. */
const MAX_ROPE_FACTOR = 1000;

/** The paper's, for models of this size. */
export const YARN_BETAS = { betaFast: 32, betaSlow: 1 } as const;

/** Angles per position, [R/2], and the factor on their cosines and sines (spec c.3, c.4). */
export interface RopeFrequencies {
  readonly inverse: Float64Array;
  readonly scale: number;
}

export function ropeFrequencies({ rotaryDim, ropeTheta, ropeScaling }: ModelConfig): RopeFrequencies {
  const plain = Float64Array.from({ length: rotaryDim / 2 }, (_, j) => ropeTheta ** (-2 * j / rotaryDim));
  switch (ropeScaling.type) {
    case "none":
      return { inverse: plain, scale: 1 };
    case "linear":
      return { inverse: plain.map((frequency) => frequency / ropeScaling.factor), scale: 1 };
    case "yarn": {
      const { factor, original, betaFast, betaSlow, attention } = ropeScaling;
      // The (fractional) channel whose wave turns this often within the original context.
      const channel = (turns: number) =>
        rotaryDim * Math.log(original / (turns * 2 * Math.PI)) / (2 * Math.log(ropeTheta));
      const low = Math.max(Math.floor(channel(betaFast)), 0);
      const high = Math.min(Math.ceil(channel(betaSlow)), rotaryDim - 1);
      const width = high === low ? 0.001 : high - low;
      const ramp = (j: number) => Math.min(Math.max((j - low) / width, 0), 1);
      return { inverse: plain.map((frequency, j) => frequency * (1 - ramp(j) + ramp(j) / factor)), scale: attention };
    }
  }
}

/** YaRN's usual factor on cosines and sines. */
export function yarnAttention(factor: number, mscale = 1): number {
  return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
}

/** Positions that a model reaches with YaRN (spec h-4). */
export function stretchedContext({ factor, original }: { readonly factor: number; readonly original: number }): number {
  return Math.floor(factor * original);
}

/**
 * Cosines and sines of `positions` positions from `first` on, [positions, 2, R/2], scaled. Computed in float64 since angles reach 10^5 and more,
 * where a device's own sine is not to be trusted.
 */
export function ropeTable(config: ModelConfig, positions: number, first = 0): Float32Array<ArrayBuffer> {
  const { inverse, scale } = ropeFrequencies(config);
  const half = inverse.length;
  const table = new Float32Array(positions * 2 * half);
  for (let position = 0; position < positions; position++) {
    const row = position * 2 * half;
    for (let j = 0; j < half; j++) {
      const angle = (first + position) * inverse[j]!;
      table[row + j] = scale * Math.cos(angle);
      table[row + half + j] = scale * Math.sin(angle);
    }
  }
  return table;
}

/**
 * A configuration whose context is stretched by `yarn:FACTOR` instead of its own scaling, as `--rope-scaling` names it.
 * @throws {RangeError} if `text` is not of that form
 */
export function withRopeScaling(config: ModelConfig, text: string): ModelConfig {
  const factor = Number(/^yarn:(\d+(?:\.\d+)?)$/.exec(text)?.[1]);
  if (!(factor >= 1 && factor <= MAX_ROPE_FACTOR)) {
    const wanted = `write yarn:FACTOR, with a factor from 1 to ${MAX_ROPE_FACTOR}`;
    throw new RangeError(`Cannot use ${JSON.stringify(text)} as a RoPE scaling: ${wanted}`);
  }
  const original = config.ropeScaling.type === "yarn" ? config.ropeScaling.original : config.maxPositions;
  const attention = yarnAttention(factor);
  return {
    ...config,
    ropeScaling: { type: "yarn", factor, original, ...YARN_BETAS, attention },
    maxPositions: stretchedContext({ factor, original }),
  };
}

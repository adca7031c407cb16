/** Typed bindings of sampler.wasm, generated from sampler.h by build.ts. Do not edit. */
import type { ModuleExports, Ptr } from "./memory.ts";

/** Where the module lies. */
export const url: URL = new URL("./sampler.wasm", import.meta.url);

/** The functions of sampler.h. */
export interface SamplerExports extends ModuleExports {
  /**
   * Applies the terms of tokens, in this order: of a token that occurred, whose count is not negative, the logit is divided
   * by `repetition` if positive, else multiplied; `presence` once and `frequency` for each count are subtracted if it
   * occurred in the answer, whose counts are positive; the bias is added. Results saturate at the largest f32.
   * logits[V or K], where[n] indices into logits, counts[n], biases[n].
   */
  adjust(
    logits: Ptr<"f32">,
    where: Ptr<"u32">,
    counts: Ptr<"i32">,
    biases: Ptr<"f32">,
    n: number,
    repetition: number,
    presence: number,
    frequency: number,
  ): void;

  /**
   * The largest of logits[n]; NaN if one of them is NaN, −infinity if n is 0.
   */
  largest(logits: Ptr<"f32">, n: number): number;

  /**
   * weights[n] = exp((logits[n] − max) / temperature), within 2e-7 of itself besides what rounding the argument costs;
   * 0 for arguments below −87. `max` is finite and the largest of logits[n].
   */
  weigh(logits: Ptr<"f32">, max: number, temperature: number, weights: Ptr<"f32">, n: number): void;

  /**
   * Draws from a row by inversion: keeps the top_k likeliest tokens (1..n), of those the smallest prefix whose mass reaches
   * top_p of theirs, of those the tokens with a logit of at least `floor` (never none), and returns the first token whose
   * running mass reaches `u`, in (0, 1], of the mass kept. logits[n], weights[n], list[n] scratch.
   */
  draw(
    logits: Ptr<"f32">,
    weights: Ptr<"f32">,
    n: number,
    topK: number,
    topP: number,
    floor: number,
    u: number,
    list: Ptr<"u32">,
  ): number;

  /**
   * The random number of a position of an answer, uniform in (0, 1] on a grid of 2^-53: the generator SplitMix64 (Steele,
   * Lea, Flood 2014) started from its own mix of the seed and moved to `position`. It has no state, so that nothing else
   * that runs can change it. `seed` is an integer below 2^53 in magnitude.
   */
  uniform(seed: number, position: number): number;
}

// The sampler's kernels, over the logits of a row's V tokens or of its K candidates.
// A row's order is by falling logit, equal logits by rising id; a set of likeliest tokens is always a prefix of it.
#ifndef SAMPLER_H
#define SAMPLER_H
#include <stdint.h>

// Applies the terms of tokens, in this order: of a token that occurred, whose count is not negative, the logit is divided
// by `repetition` if positive, else multiplied; `presence` once and `frequency` for each count are subtracted if it
// occurred in the answer, whose counts are positive; the bias is added. Results saturate at the largest f32.
// logits[V or K], where[n] indices into logits, counts[n], biases[n].
void adjust(float *logits, const uint32_t *where, const int32_t *counts, const float *biases, uint32_t n,
            float repetition, float presence, float frequency);

// The largest of logits[n]; NaN if one of them is NaN, −infinity if n is 0.
float largest(const float *logits, uint32_t n);

// weights[n] = exp((logits[n] − max) / temperature), within 2e-7 of itself besides what rounding the argument costs;
// 0 for arguments below −87. `max` is finite and the largest of logits[n].
void weigh(const float *logits, float max, float temperature, float *weights, uint32_t n);

// Draws from a row by inversion: keeps the top_k likeliest tokens (1..n), of those the smallest prefix whose mass reaches
// top_p of theirs, of those the tokens with a logit of at least `floor` (never none), and returns the first token whose
// running mass reaches `u`, in (0, 1], of the mass kept. logits[n], weights[n], list[n] scratch.
uint32_t draw(const float *logits, const float *weights, uint32_t n, uint32_t top_k, double top_p, float floor, double u,
              uint32_t *list);

// The random number of a position of an answer, uniform in (0, 1] on a grid of 2^-53: the generator SplitMix64 (Steele,
// Lea, Flood 2014) started from its own mix of the seed and moved to `position`. It has no state, so that nothing else
// that runs can change it. `seed` is an integer below 2^53 in magnitude.
double uniform(double seed, uint32_t position);

#endif

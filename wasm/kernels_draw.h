// Drawing tokens from candidates, in double precision as the sampler does, and going on with them.
#ifndef KERNELS_DRAW_H
#define KERNELS_DRAW_H
#include "kernels_simd.h"
#include <math.h>

// How a token is drawn.
struct rule {
  double temperature, top_k, top_p, min_p, u;
};

// The first of the k rising masses that reaches `target`.
static uint32_t reach(const double *masses, uint32_t k, double target) {
  uint32_t i = 0;
  while (i < k && masses[i] < target) i++;
  return i;
}

// What all tokens of a row weigh that are no candidates, in units of the last one.
static double mass_of_others(const float *logits, uint32_t k, float log_sum_exp) {
  const double least = logits[k - 1];
  double others = exp(log_sum_exp - least);
  for (uint32_t i = 0; i < k; i++) others -= exp(logits[i] - least);
  return others > 0 ? others : 0;
}

// The place among a row's candidates, by falling logit, on which the draw falls. masses[k]
static uint32_t place_drawn(const float *logits, uint32_t k, float log_sum_exp, const struct rule *rule,
                            double *masses) {
  const double best = logits[0], least = logits[k - 1];
  double mass = 0;
  for (uint32_t i = 0; i < k; i++) masses[i] = mass += exp((logits[i] - best) / rule->temperature);
  const uint32_t first = rule->top_k < k ? (uint32_t)rule->top_k : k; // so many candidates are kept at most
  double kept = masses[first - 1];
  if (rule->top_k > k) {
    const double others = mass_of_others(logits, k, log_sum_exp), most = rule->top_k - k;
    kept += exp((least - best) / rule->temperature) * (others < most ? others : most);
  }
  if (rule->top_p < 1) {
    const uint32_t last = reach(masses, k, rule->top_p * kept);
    kept = last < k ? masses[last] : rule->top_p * kept;
  }
  const double floor = best + rule->temperature * log(rule->min_p);
  uint32_t likely = 0;
  while (likely < k && logits[likely] >= floor) likely++;
  if (0 < likely && likely < k && masses[likely - 1] < kept) kept = masses[likely - 1];
  const uint32_t drawn = reach(masses, k, rule->u * kept);
  return drawn < first ? drawn : first - 1;
}

void draw(uint32_t *trail, const uint32_t *ids, const float *logits, const float *log_sum_exp, uint32_t *chain,
          const double *rules, uint32_t *tokens, uint32_t *positions, uint32_t *segments, double *scratch, uint32_t k,
          uint32_t end) {
  const uint32_t step = chain[0], draws = step < chain[1];
  for (uint32_t r = 0; r < end; r++) {
    uint32_t *noted = trail + (step * end + r) * (2 * k + 2);
    const struct rule *rule = (const struct rule *)rules + step * end + r;
    __builtin_memcpy(noted, ids + r * k, 4 * k);
    __builtin_memcpy(noted + k, logits + r * k, 4 * k);
    __builtin_memcpy(noted + 2 * k, log_sum_exp + r, 4);
    if (!draws) continue;
    tokens[r] = noted[2 * k + 1] = ids[r * k + place_drawn(logits + r * k, k, log_sum_exp[r], rule, scratch)];
    positions[r]++;
    segments[4 * r + 1]++;
  }
  chain[0] += draws;
}

#endif

// Mixture of experts: choosing experts for rows (spec c.9), sorting rows by expert, and summing what the experts gave.
#ifndef KERNELS_MOE_H
#define KERNELS_MOE_H
#include "kernels_simd.h"

enum { MAX_EXPERTS = 1024 };

// A score that was taken already: no comparison with it is true.
#define TAKEN __builtin_nanf("")

// The index of the greatest score, the lowest of equals; 0 if none is left.
static uint32_t greatest(const float *scores, uint32_t n) {
  uint32_t best = 0;
  while (best + 1 < n && scores[best] != scores[best]) best++;
  for (uint32_t i = best + 1; i < n; i++) best = scores[i] > scores[best] ? i : best;
  return scores[best] == scores[best] ? best : 0;
}

// The sum of a group's two best.
static float group_mark(const float *scores, uint32_t n) {
  float first = scores[0], second = n > 1 ? -__builtin_inff() : 0;
  for (uint32_t i = 1; i < n; i++) {
    if (scores[i] > first) {
      second = first;
      first = scores[i];
    } else if (scores[i] > second) second = scores[i];
  }
  return first + second;
}

static void exclude_groups(float *scores, uint32_t n, uint32_t groups, uint32_t kept) {
  float marks[MAX_EXPERTS];
  const uint32_t size = n / groups;
  for (uint32_t g = 0; g < groups; g++) marks[g] = group_mark(scores + g * size, size);
  for (uint32_t i = 0; i < kept; i++) marks[greatest(marks, groups)] = TAKEN;
  for (uint32_t e = 0; e < n; e++) {
    if (marks[e / size] == marks[e / size]) scores[e] = -__builtin_inff();
  }
}

void choose(uint32_t *ids, float *weights, const float *scores, const float *bias, uint32_t e, uint32_t groups,
            uint32_t kept, uint32_t k, uint32_t normalize, float scale, uint32_t begin, uint32_t end) {
  float select[MAX_EXPERTS];
  for (uint32_t t = begin; t < end; t++) {
    const float *score = scores + t * e;
    for (uint32_t i = 0; i < e; i++) select[i] = bias ? score[i] + bias[i] : score[i];
    if (groups > 1) exclude_groups(select, e, groups, kept);
    float sum = 0;
    for (uint32_t i = 0; i < k; i++) {
      const uint32_t best = greatest(select, e);
      select[best] = TAKEN;
      ids[t * k + i] = best;
      sum += score[best];
    }
    const float factor = normalize && k > 1 ? scale / (sum + 1e-20f) : scale;
    for (uint32_t i = 0; i < k; i++) weights[t * k + i] = score[ids[t * k + i]] * factor;
  }
}

void sort_by_expert(uint32_t *order, uint32_t *starts, const uint32_t *ids, uint32_t pairs, uint32_t experts) {
  for (uint32_t e = 0; e <= experts; e++) starts[e] = 0;
  for (uint32_t p = 0; p < pairs; p++) starts[ids[p] + 1]++;
  for (uint32_t e = 0; e < experts; e++) starts[e + 1] += starts[e];
  for (uint32_t p = 0; p < pairs; p++) order[starts[ids[p]]++] = p;
  for (uint32_t e = experts; e > 0; e--) starts[e] = starts[e - 1]; // each has moved to its end
  starts[0] = 0;
}

void combine(float *hidden, const float *y, const float *weights, uint32_t k, uint32_t h, uint32_t begin,
             uint32_t end) {
  for (uint32_t t = begin; t < end; t++) {
    for (uint32_t j = 0; j < h; j += 4) {
      const uint32_t n = min_u32(4, h - j);
      v128_t sum = splat(0);
      for (uint32_t i = 0; i < k; i++) {
        const float *part = y + (t * k + i) * h + j;
        sum = add(sum, mul(splat(weights[t * k + i]), n == 4 ? load(part) : load_part(part, n)));
      }
      float *at = hidden + t * h + j;
      if (n == 4) store(at, add(load(at), sum));
      else store_part(at, add(load_part(at, n), sum), n);
    }
  }
}

#endif

// The greatest logits of a row, by a bound and a heap whose root is the least of them, and the log-sum-exp.
#ifndef KERNELS_CANDIDATES_H
#define KERNELS_CANDIDATES_H
#include "kernels_simd.h"
#include <math.h>

// Whether candidate a comes after candidate b: a lower logit, or the same and a higher id.
INLINE int after(const uint32_t *ids, const float *logits, uint32_t a, uint32_t b) {
  return logits[a] < logits[b] || (logits[a] == logits[b] && ids[a] > ids[b]);
}

INLINE void swap(uint32_t *ids, float *logits, uint32_t a, uint32_t b) {
  const uint32_t id = ids[a];
  const float logit = logits[a];
  ids[a] = ids[b], logits[a] = logits[b];
  ids[b] = id, logits[b] = logit;
}

// Restores the heap of n below `at`.
static void sink(uint32_t *ids, float *logits, uint32_t at, uint32_t n) {
  for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && after(ids, logits, child + 1, child)) child++;
    if (!after(ids, logits, child, at)) return;
    swap(ids, logits, child, at);
  }
}

// The k greatest of x as a heap whose root is the least of them; `bound` is one that at least k reach.
static void gather(uint32_t *ids, float *logits, const float *x, uint32_t n, uint32_t k, float bound) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < n;) {
    const int whole = i + 4 <= n;
    if (whole && wasm_i32x4_all_true(wasm_f32x4_lt(load(x + i), splat(count < k ? bound : logits[0])))) {
      i += 4;
      continue;
    }
    for (const uint32_t last = whole ? i + 4 : n; i < last; i++) {
      if (count == k) {
        if (!(x[i] > logits[0])) continue; // an equal logit has a higher id here
        ids[0] = i, logits[0] = x[i];
        sink(ids, logits, 0, k);
      } else if (!(x[i] < bound)) {
        ids[count] = i, logits[count] = x[i];
        if (++count < k) continue;
        for (uint32_t at = k / 2; at-- > 0;) sink(ids, logits, at, k);
      }
    }
  }
}

// The k-th of the maxima of as many pieces of x: at least k reach it, and not many more. Uses ids and logits.
static float reached_by(uint32_t *ids, float *logits, const float *x, uint32_t n, uint32_t k) {
  enum { BLOCKS = 32, PIECES = 4 * BLOCKS }; // a lane of a block is a piece
  const uint32_t block = n / BLOCKS / 4 * 4;
  if (block == 0 || k > PIECES) return -__builtin_inff();
  float maxima[PIECES];
  for (uint32_t b = 0; b < BLOCKS; b++, x += block) {
    v128_t max = load(x);
    for (uint32_t i = 4; i < block; i += 4) max = wasm_f32x4_pmax(max, load(x + i));
    store(maxima + 4 * b, max);
  }
  gather(ids, logits, maxima, PIECES, k, -__builtin_inff());
  return logits[0];
}

static void top(uint32_t *ids, float *logits, const float *x, uint32_t n, uint32_t k) {
  const float bound = reached_by(ids, logits, x, n, k);
  gather(ids, logits, x, n, k, bound);
  for (uint32_t i = k; i-- > 1;) {
    swap(ids, logits, 0, i);
    sink(ids, logits, 0, i);
  }
}

// ln Σ exp(x); blocks of exponentials are summed in f32, the blocks in f64.
static float log_sum(const float *x, uint32_t n, float max) {
  enum { BLOCK = 256 };
  double total = 0;
  for (uint32_t first = 0; first < n; first += BLOCK) {
    const uint32_t last = min_u32(first + BLOCK, n);
    v128_t sum = splat(0);
    uint32_t i = first;
    for (; i + 4 <= last; i += 4) sum = add(sum, exp4(sub(load(x + i), splat(max))));
    for (; i < last; i++) total += wasm_f32x4_extract_lane(exp4(splat(x[i] - max)), 0);
    total += sum_lanes(sum);
  }
  return (float)(max + log(total));
}

void candidates(uint32_t *ids, float *logits, float *log_sum_exp, const float *x, uint32_t n, uint32_t k,
                uint32_t begin, uint32_t end) {
  for (uint32_t r = begin; r < end; r++) {
    top(ids + r * k, logits + r * k, x + r * n, n, k);
    log_sum_exp[r] = log_sum(x + r * n, n, logits[r * k]);
  }
}

#endif

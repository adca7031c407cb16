// Products of one or two rows with weights, straight from where these lie; and what all products share.
#ifndef KERNELS_STREAMS_H
#define KERNELS_STREAMS_H
#include "kernels_weights.h"

// A sum over k is taken in four lanes over SPAN columns, these sums are added up, and the lanes last. Two levels keep
// the rounding small; and as the order is the same on every path, a row's result does not depend on the rows beside it.
enum { SPAN = 64 };

// Rows of weights that are read side by side: far apart, each followed by its next, so that the prefetcher sees as many
// streams. Where it saw neighbouring rows as jumps, weights that no cache held came at 7 GB/s instead of 20.
enum { ROW_STREAMS = 4 };

// Most sums that are held at once, in registers.
enum { MOST = 8 };

// Rows n, n + step, … of weights.
struct streams {
  const struct weights *weights;
  const uint8_t *rows; // row n
  uint32_t n, step;
  const uint8_t *factors[ROW_STREAMS];
};

INLINE struct streams streams_at(const int C, const struct weights *w, uint32_t n, uint32_t step) {
  struct streams s = {w, w->values + n * w->stride, n, step, {0}};
  UNROLL for (int c = 0; c < C; c++) s.factors[c] = row_factors(w, n + c * step);
  return s;
}

// The sum over a group of x in four lanes; four columns begin `step` elements after the four before.
INLINE v128_t sum_group(const float *x, uint32_t step) {
  v128_t sum = load(x);
  UNROLL for (int i = 1; i < GROUP / 4; i++) sum = add(sum, load(x + i * step));
  return sum;
}

// total += part · the factors of block b: [R, C] of C streams; with Q4 also the sums over x [R] · the minima
INLINE void join(const int R, const int C, const enum weight_type type, v128_t *total, const v128_t *part,
                 const v128_t *sums, const struct streams *s, uint32_t b) {
  UNROLL for (int c = 0; c < C; c++) {
    const v128_t factor = factor_of(type, s->factors[c], b);
    UNROLL for (int r = 0; r < R; r++) total[r * C + c] = add(total[r * C + c], mul(part[r * C + c], factor));
    if (type != Q4) continue;
    const v128_t minimum = minimum_of(s->factors[c], b);
    UNROLL for (int r = 0; r < R; r++) total[r * C + c] = add(total[r * C + c], mul(sums[r], minimum));
  }
}

// Adds up the lanes, and writes or adds the sums to y.
INLINE void finish(const int R, const int C, const v128_t *total, float *const *y, const struct streams *s,
                   uint32_t add_to) {
  float sums[MOST];
  UNROLL for (int j = 0; j < R * C; j++) {
    if (j + 4 > R * C) sums[j] = sum_lanes(total[j]);
    else if (j % 4 == 0) store(sums + j, sum_lanes_of_four(total + j));
  }
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int c = 0; c < C; c++) {
      const uint32_t n = s->n + c * s->step;
      const float sum = s->weights->bias ? sums[r * C + c] + s->weights->bias[n] : sums[r * C + c];
      y[r][n] = add_to ? y[r][n] + sum : sum;
    }
  }
}

// part += R rows by C streams, eight columns.
INLINE void multiply8(const int R, const int C, const enum weight_type type, const struct widening *how, v128_t *part,
                      const float *const *x, const uint8_t *rows, uint32_t apart, uint32_t i) {
  UNROLL for (int c = 0; c < C; c++) {
    const struct eight ws = load8(rows + c * apart, i, type, how);
    UNROLL for (int r = 0; r < R; r++) {
      v128_t *sum = &part[r * C + c];
      *sum = add(add(*sum, mul(load(x[r] + i), ws.low)), mul(load(x[r] + i + 4), ws.high));
    }
  }
}

// R rows by C streams, straight from the weights.
INLINE void multiply_streams(const int R, const int C, const enum weight_type type, const struct widening *how,
                             const float *const *x, float *const *y, const struct streams *s, uint32_t add_to) {
  const struct weights *w = s->weights;
  const uint32_t apart = s->step * w->stride;
  v128_t total[MOST];
  UNROLL for (int j = 0; j < R * C; j++) total[j] = splat(0);
  for (uint32_t b = 0, i = 0; b < w->blocks; b++) {
    for (uint32_t block_end = min_u32(i + w->block_columns, w->k); i < block_end;) {
      v128_t part[MOST], sums[MOST];
      UNROLL for (int j = 0; j < R * C; j++) part[j] = splat(0);
      UNROLL for (int r = 0; r < R; r++) sums[r] = type == Q4 ? sum_group(x[r] + i, 4) : splat(0);
      const uint32_t end = min_u32(i + SPAN, block_end);
      for (; i + 8 <= end; i += 8) multiply8(R, C, type, how, part, x, s->rows, apart, i);
      for (; i < end; i += 4) {
        UNROLL for (int c = 0; c < C; c++) {
          const v128_t ws = load4(s->rows + c * apart, i, type, how);
          UNROLL for (int r = 0; r < R; r++) part[r * C + c] = add(part[r * C + c], mul(load(x[r] + i), ws));
        }
      }
      join(R, C, type, total, part, sums, s, b);
    }
  }
  finish(R, C, total, y, s, add_to);
}

// R rows, straight from the weights.
INLINE void multiply_rows(const int R, const enum weight_type type, const float *const *x, float *const *y,
                          const struct weights *w, uint32_t begin, uint32_t end, uint32_t add_to) {
  const struct widening how = widening_of(type);
  const uint32_t step = (end - begin) / ROW_STREAMS;
  for (uint32_t n = begin; n < begin + step; n++) {
    const struct streams s = streams_at(ROW_STREAMS, w, n, step);
    multiply_streams(R, ROW_STREAMS, type, &how, x, y, &s, add_to);
  }
  for (uint32_t n = begin + ROW_STREAMS * step; n < end; n++) {
    const struct streams s = streams_at(1, w, n, 0);
    multiply_streams(R, 1, type, &how, x, y, &s, add_to);
  }
}

INLINE void multiply_few(const int R, const float *const *x, float *const *y, const struct weights *w, uint32_t begin,
                         uint32_t end, uint32_t add_to) {
  switch (w->type) {
  case F32: return multiply_rows(R, F32, x, y, w, begin, end, add_to);
  case BF16: return multiply_rows(R, BF16, x, y, w, begin, end, add_to);
  case F16: return multiply_rows(R, F16, x, y, w, begin, end, add_to);
  case F8_E4M3: return multiply_rows(R, F8_E4M3, x, y, w, begin, end, add_to);
  case Q8: return multiply_rows(R, Q8, x, y, w, begin, end, add_to);
  case Q4: return multiply_rows(R, Q4, x, y, w, begin, end, add_to);
  }
}

#endif

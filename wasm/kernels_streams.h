// Products of up to five rows with weights, straight from where these lie; and what all products share.
#ifndef KERNELS_STREAMS_H
#define KERNELS_STREAMS_H
#include "kernels_sums.h"

// A sum over k is taken in four lanes over SPAN columns, these sums are added up, and the lanes last. Two levels keep
// the rounding small; and as the order is the same on every path, a row's result does not depend on the rows beside it.
enum { SPAN = 256 };

// Rows of x and y, anywhere.
struct few {
  const float *x[MOST_ROWS];
  float *y[MOST_ROWS];
};

// Rows n, n + step, … of weights, which are read side by side: far apart, each followed by its next, so that the
// prefetcher sees as many streams. Where it saw neighbouring rows as jumps, weights that no cache held came at 7 GB/s
// instead of 20.
struct streams {
  const uint8_t *rows[MOST_STREAMS], *factors[MOST_STREAMS];
  uint32_t n, step;
};

INLINE struct streams streams_at(const int C, const enum weight_type factors, const struct weights *w, uint32_t n,
                                 uint32_t step) {
  struct streams s = {.n = n, .step = step};
  UNROLL for (int c = 0; c < C; c++) {
    s.rows[c] = w->values + (n + c * step) * w->stride;
    if (has_factors(factors)) s.factors[c] = row_factors(w, n + c * step);
  }
  return s;
}

// total += part · the factors of block b: [C, R]
INLINE void join(const int R, const int C, v128_t *total, const v128_t *part, const struct streams *s, uint32_t b) {
  UNROLL for (int c = 0; c < C; c++) {
    const v128_t factor = load_splat((const float *)s->factors[c] + b);
    UNROLL for (int r = 0; r < R; r++) total[c * R + r] = madd(part[c * R + r], factor, total[c * R + r]);
  }
}

// Adds up the lanes, and writes or adds the sums to y.
INLINE void finish(const int R, const int C, const v128_t *total, const struct few *rows, const float *bias,
                   const struct streams *s, uint32_t add_to) {
  float sums[MOST_SUMS];
  UNROLL for (int j = 0; j + 4 <= R * C; j += 4) {
    const v128_t four = sum_lanes_of_four(total + j);
    sums[j] = wasm_f32x4_extract_lane(four, 0);
    sums[j + 1] = wasm_f32x4_extract_lane(four, 1);
    sums[j + 2] = wasm_f32x4_extract_lane(four, 2);
    sums[j + 3] = wasm_f32x4_extract_lane(four, 3);
  }
  UNROLL for (int j = R * C / 4 * 4; j < R * C; j++) sums[j] = sum_lanes(total[j]);
  UNROLL for (int c = 0; c < C; c++) {
    const uint32_t n = s->n + c * s->step;
    if (bias) {
      const float plus = bias[n];
      UNROLL for (int r = 0; r < R; r++) sums[c * R + r] += plus;
    }
    if (add_to) {
      UNROLL for (int r = 0; r < R; r++) rows->y[r][n] += sums[c * R + r];
    } else {
      UNROLL for (int r = 0; r < R; r++) rows->y[r][n] = sums[c * R + r];
    }
  }
}

// total += R rows by C streams, n columns that share the factors of block b.
INLINE void multiply_block(const int R, const int C, const enum weight_type type, const struct widening *how,
                           v128_t *total, const float **x, const uint8_t **rows, uint32_t n, const struct streams *s,
                           uint32_t b) {
  for (uint32_t rest = n, span; rest > 0; rest -= span) {
    v128_t part[MOST_SUMS];
    clear_sums(part, R * C);
    span = min_u32(SPAN, rest);
    multiply_span(R, C, type, how, part, x, rows, span);
    join(R, C, total, part, s, b);
  }
}

// total = R rows by C streams, k columns without factors. The sum of all spans but the last is kept in memory.
INLINE void multiply_plain(const int R, const int C, const enum weight_type type, const struct widening *how,
                           v128_t *total, const float **x, const uint8_t **rows, uint32_t k) {
  float spans[4 * MOST_SUMS], *kept = spans;
  IN_ORDER(kept);
  for (uint32_t rest = k, span;; rest -= span) {
    clear_sums(total, R * C);
    span = min_u32(SPAN, rest);
    multiply_span(R, C, type, how, total, x, rows, span);
    if (rest < k) {
      UNROLL for (int j = 0; j < R * C; j++) total[j] = add(load(kept + 4 * j), total[j]);
    }
    if (rest == span) return;
    UNROLL for (int j = 0; j < R * C; j++) store(kept + 4 * j, total[j]);
  }
}

// R rows by C streams.
INLINE void multiply_streams(const int R, const int C, const enum weight_type type, const enum weight_type factors,
                             const struct widening *how, const struct few *few, const struct weights *w,
                             const struct streams *s, uint32_t add_to) {
  const float *x[MOST_ROWS];
  const uint8_t *rows[MOST_STREAMS];
  UNROLL for (int r = 0; r < R; r++) x[r] = few->x[r];
  UNROLL for (int c = 0; c < C; c++) rows[c] = s->rows[c];
  v128_t total[MOST_SUMS];
  if (has_factors(factors)) {
    clear_sums(total, R * C);
    for (uint32_t b = 0, i = 0; i < w->k; b++, i += w->block_columns) {
      multiply_block(R, C, type, how, total, x, rows, min_u32(w->block_columns, w->k - i), s, b);
    }
  } else {
    multiply_plain(R, C, type, how, total, x, rows, w->k);
  }
  finish(R, C, total, few, w->bias, s, add_to);
}

// R rows, C streams at a time. What describes them is copied: to the compiler all that is written might change it.
INLINE void multiply_rows(const int R, const int C, const enum weight_type type, const enum weight_type factors,
                          const float *const *x, float *const *y, const struct weights *weights, uint32_t begin,
                          uint32_t end, uint32_t add_to) {
  const struct weights w = *weights;
  const struct widening how = widening_of(type);
  struct few few;
  UNROLL for (int r = 0; r < R; r++) {
    few.x[r] = x[r];
    few.y[r] = y[r];
  }
  const uint32_t step = (end - begin) / C;
  for (uint32_t n = begin; n < begin + step; n++) {
    const struct streams s = streams_at(C, factors, &w, n, step);
    multiply_streams(R, C, type, factors, &how, &few, &w, &s, add_to);
  }
  for (uint32_t n = begin + C * step; n < end; n++) {
    const struct streams s = streams_at(1, factors, &w, n, 0);
    multiply_streams(R, 1, type, factors, &how, &few, &w, &s, add_to);
  }
}

#define FEW_ROWS                                                                                                       \
  uint32_t count, const float *const *x, float *const *y, const struct weights *w, uint32_t begin, uint32_t end,       \
    uint32_t add_to

// Values of a type with the factors of a type: a function of its own for each, so that few are compiled in earnest.
#define MULTIPLY_FEW(TYPE, FACTORS)                                                                                    \
  static __attribute__((noinline)) void multiply_few_##TYPE##_##FACTORS(FEW_ROWS) {                                    \
    switch (count) {                                                                                                   \
    case 1: return multiply_rows(1, TYPE == BF16 ? 8 : 4, TYPE, FACTORS, x, y, w, begin, end, add_to);                                    \
    case 2: return multiply_rows(2, 4, TYPE, FACTORS, x, y, w, begin, end, add_to);                                    \
    case 3: return multiply_rows(3, 3, TYPE, FACTORS, x, y, w, begin, end, add_to);                                    \
    case 4: return multiply_rows(4, 2, TYPE, FACTORS, x, y, w, begin, end, add_to);                                    \
    case 5: return multiply_rows(5, 2, TYPE, FACTORS, x, y, w, begin, end, add_to);                                    \
    }                                                                                                                  \
  }

MULTIPLY_FEW(F32, F32)
MULTIPLY_FEW(BF16, BF16)
MULTIPLY_FEW(F16, F16)
MULTIPLY_FEW(F8_E4M3, F8_E4M3)
MULTIPLY_FEW(F32, F8_E4M3)

// Up to MOST_ROWS rows. `packed`: values are f32, factors still those of the type.
static void multiply_few(uint32_t count, const int packed, const float *const *x, float *const *y,
                         const struct weights *w, uint32_t begin, uint32_t end, uint32_t add_to) {
  switch (w->type) {
  case F32: return multiply_few_F32_F32(count, x, y, w, begin, end, add_to);
  case BF16: return multiply_few_BF16_BF16(count, x, y, w, begin, end, add_to);
  case F16:
    if (packed) return multiply_few_F32_F32(count, x, y, w, begin, end, add_to);
    return multiply_few_F16_F16(count, x, y, w, begin, end, add_to);
  case F8_E4M3:
    if (packed) return multiply_few_F32_F8_E4M3(count, x, y, w, begin, end, add_to);
    return multiply_few_F8_E4M3_F8_E4M3(count, x, y, w, begin, end, add_to);
  }
}

#endif

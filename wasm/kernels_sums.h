// The innermost loop of all products: sums of some rows of x with some rows of weights, all in registers.
#ifndef KERNELS_SUMS_H
#define KERNELS_SUMS_H
#include "kernels_weights.h"

// Columns of one turn of the innermost loop.
enum { STEP = 16 };

// Most rows and streams, and most sums of these, that are held at once: with weights and inputs in 15 registers.
enum { MOST_ROWS = 5, MOST_STREAMS = 8, MOST_SUMS = 10 };

// n sums of nothing. A zero that the compiler sees makes it fill memory instead of registers.
INLINE void clear_sums(v128_t *sums, const int n) {
  v128_t zero = splat(0);
  IN_ORDER(zero);
  UNROLL for (int j = 0; j < n; j++) sums[j] = zero;
}

// part += R rows by C streams, four columns: a row's columns at a time.
INLINE void multiply_by_rows(const int R, const int C, v128_t *part, const float **x, uint32_t i, const v128_t *ws) {
  UNROLL for (int r = 0; r < R; r++) {
    IN_ORDER(x[r]);
    const v128_t xs = load(x[r] + i);
    UNROLL for (int c = 0; c < C; c++) part[c * R + r] = madd(xs, ws[c], part[c * R + r]);
    UNROLL for (int c = 0; c < C; c++) IN_ORDER(part[c * R + r]);
  }
}

// part += R rows by C streams, four columns.
INLINE void multiply4(const int R, const int C, const enum weight_type type, const struct widening *how, v128_t *part,
                      const float **x, const uint8_t *const *rows, uint32_t i) {
  v128_t ws[MOST_STREAMS];
  UNROLL for (int c = 0; c < C; c++) ws[c] = load4(rows[c], i, type, how);
  multiply_by_rows(R, C, part, x, i, ws);
}

// part += R ≤ 2 rows by C streams, eight columns: a stream's at a time.
INLINE void multiply8_by_streams(const int R, const int C, const enum weight_type type, const struct widening *how,
                                 v128_t *part, const float **x, const uint8_t **rows, uint32_t i) {
  v128_t first[2], last[2];
  UNROLL for (int r = 0; r < R; r++) {
    first[r] = load(x[r] + i);
    last[r] = load(x[r] + i + 4);
  }
  UNROLL for (int c = 0; c < C; c++) {
    IN_ORDER(rows[c]);
    v128_t words = load8(rows[c], i, type), ws = widen4(words, 0, type, how);
    UNROLL for (int r = 0; r < R; r++) part[c * R + r] = madd(first[r], ws, part[c * R + r]);
    ws = widen4(words, 1, type, how);
    UNROLL for (int r = 0; r < R; r++) part[c * R + r] = madd(last[r], ws, part[c * R + r]);
    UNROLL for (int r = 0; r < R; r++) IN_ORDER(part[c * R + r]);
  }
}

// part += R rows by C streams, eight columns.
INLINE void multiply8(const int R, const int C, const enum weight_type type, const struct widening *how, v128_t *part,
                      const float **x, const uint8_t **rows, uint32_t i) {
  if (type == F32 || ((R == 3 || R == 5) && type <= F16)) { // there is no register for more words
    multiply4(R, C, type, how, part, x, rows, i);
    multiply4(R, C, type, how, part, x, rows, i + 4);
  } else if (R <= 2) {
    multiply8_by_streams(R, C, type, how, part, x, rows, i);
  } else {
    v128_t words[MOST_STREAMS], ws[MOST_STREAMS];
    UNROLL for (int c = 0; c < C; c++) words[c] = load8(rows[c], i, type);
    UNROLL for (int c = 0; c < C; c++) ws[c] = widen4(words[c], 0, type, how);
    multiply_by_rows(R, C, part, x, i, ws);
    UNROLL for (int c = 0; c < C; c++) ws[c] = widen4(words[c], 1, type, how);
    multiply_by_rows(R, C, part, x, i + 4, ws);
  }
}

// part += R rows by C streams, n columns, a multiple of 4; all go on to the next column.
INLINE void multiply_span(const int R, const int C, const enum weight_type type, const struct widening *how,
                          v128_t *part, const float **x, const uint8_t **rows, uint32_t n) {
  for (; n >= STEP; n -= STEP) {
    UNROLL for (int i = 0; i < STEP; i += 8) multiply8(R, C, type, how, part, x, rows, i);
    UNROLL for (int c = 0; c < C; c++) rows[c] += bytes_of(type, STEP);
    UNROLL for (int r = 0; r < R; r++) x[r] += STEP;
  }
  for (; n > 0; n -= 4) {
    multiply4(R, C, type, how, part, x, rows, 0);
    UNROLL for (int c = 0; c < C; c++) rows[c] += bytes_of(type, 4);
    UNROLL for (int r = 0; r < R; r++) x[r] += 4;
  }
}

#endif

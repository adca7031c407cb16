// Sums of rows: y += x @ M, M with the rows that are mixed.
#ifndef KERNELS_MIX_H
#define KERNELS_MIX_H
#include "kernels_simd.h"

// Rows that are summed before they join y: two levels of sums as in kernels_streams.h, in one order in every tile.
enum { MIX_SPAN = 32 };

// part += R values of x by C · 4 columns of a row of M
INLINE void mix_row(const int R, const int C, v128_t *part, const v128_t *xs, const float *m) {
  v128_t ms[4];
  UNROLL for (int c = 0; c < C; c++) ms[c] = load(m + 4 * c);
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int c = 0; c < C; c++) part[r * C + c] = madd(xs[r], ms[c], part[r * C + c]);
    UNROLL for (int c = 0; c < C; c++) IN_ORDER(part[r * C + c]);
  }
}

INLINE v128_t splat_lane(v128_t x, const int lane) {
  switch (lane) {
  case 0: return wasm_i32x4_shuffle(x, x, 0, 0, 0, 0);
  case 1: return wasm_i32x4_shuffle(x, x, 1, 1, 1, 1);
  case 2: return wasm_i32x4_shuffle(x, x, 2, 2, 2, 2);
  default: return wasm_i32x4_shuffle(x, x, 3, 3, 3, 3);
  }
}

// R rows by C · 4 columns of y.
INLINE void mix_tile(const int R, const int C, float *y, uint32_t y_row, const float *x, uint32_t x_row,
                     uint32_t x_step, const float *m, uint32_t m_row, uint32_t k) {
  for (uint32_t first = 0; first < k; first += MIX_SPAN) {
    v128_t part[8], xs[4], fours[4];
    UNROLL for (int j = 0; j < R * C; j++) part[j] = splat(0);
    uint32_t i = first;
    const uint32_t last = min_u32(first + MIX_SPAN, k);
    for (; x_step == 1 && i + 4 <= last; i += 4) { // a load gives four values of a row
      UNROLL for (int r = 0; r < R; r++) fours[r] = load(x + r * x_row + i);
      UNROLL for (int j = 0; j < 4; j++) {
        UNROLL for (int r = 0; r < R; r++) xs[r] = splat_lane(fours[r], j);
        mix_row(R, C, part, xs, m + (i + j) * m_row);
      }
    }
    for (; i < last; i++) {
      UNROLL for (int r = 0; r < R; r++) xs[r] = load_splat(x + r * x_row + i * x_step);
      mix_row(R, C, part, xs, m + i * m_row);
    }
    UNROLL for (int r = 0; r < R; r++) {
      UNROLL for (int c = 0; c < C; c++) {
        float *at = y + r * y_row + 4 * c;
        store(at, add(load(at), part[r * C + c]));
      }
    }
  }
}

// R rows of y, C · 4 columns at a time while there are so many left.
INLINE void mix_rows(const int R, const int C, float *y, uint32_t y_row, const float *x, uint32_t x_row,
                     uint32_t x_step, const float *m, uint32_t m_row, uint32_t k, uint32_t n) {
  uint32_t j = 0;
  for (; j + 4 * C <= n; j += 4 * C) mix_tile(R, C, y + j, y_row, x, x_row, x_step, m + j, m_row, k);
  for (; j < n; j += 4) mix_tile(R, 1, y + j, y_row, x, x_row, x_step, m + j, m_row, k);
}

// y[r,j] += Σ_i x[r · x_row + i · x_step] · m[i · m_row + j] for r < rows, j < n, i < k; n is a multiple of 4
static void mix(float *y, uint32_t y_row, const float *x, uint32_t x_row, uint32_t x_step, const float *m,
                uint32_t m_row, uint32_t rows, uint32_t k, uint32_t n) {
  uint32_t r = 0;
  for (; r + 4 <= rows; r += 4) mix_rows(4, 2, y + r * y_row, y_row, x + r * x_row, x_row, x_step, m, m_row, k, n);
  for (; r + 2 <= rows; r += 2) mix_rows(2, 4, y + r * y_row, y_row, x + r * x_row, x_row, x_step, m, m_row, k, n);
  if (r < rows) mix_rows(1, 4, y + r * y_row, y_row, x + r * x_row, x_row, x_step, m, m_row, k, n);
}

#endif

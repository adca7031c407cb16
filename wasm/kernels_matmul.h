// Products of rows with weights: one row at a time straight from the weights, four or more through packed tiles.
#ifndef KERNELS_MATMUL_H
#define KERNELS_MATMUL_H
#include "kernels_weights.h"

// A sum over k is taken in four lanes over SPAN columns, these sums are added up, and the lanes last. Two levels keep the rounding
// small; and as the order is the same on every path below, a row's result does not depend on the rows beside it.
enum { SPAN = 64 };

// Rows computed together: while they lie in the caches, every weight is widened and packed once for all of them.
enum { ROW_BLOCK = 32, TILE_ROWS = 4, TILE_COLUMNS = 2 };

// Rows of x and of y, anywhere.
struct rows {
  const float *x[ROW_BLOCK];
  float *y[ROW_BLOCK];
  uint32_t count;
};

// Floats of scratch for k columns.
#define PACKED(k) ((ROW_BLOCK + TILE_COLUMNS) * (k))

// Adds a tile's sums to y. The lanes are added up here.
INLINE void finish(const int R, const int C, const v128_t *total, float *const *y, const struct weights *w, uint32_t n,
                   uint32_t add) {
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int c = 0; c < C; c++) {
      float sum = sum_lanes(total[r * C + c]);
      if (w->bias) sum += w->bias[n + c];
      y[r][n + c] = add ? y[r][n + c] + sum : sum;
    }
  }
}

// y[n … n + C) of one row: C rows of weights side by side.
INLINE void multiply_row(const int C, const enum weight_type type, const struct widening *how, const float *x,
                         float *const *y, const struct weights *w, uint32_t n, uint32_t add_to) {
  const uint8_t *rows = w->values + n * w->stride;
  v128_t total[4];
  UNROLL for (int c = 0; c < C; c++) total[c] = splat(0);
  for (uint32_t b = 0, i = 0; b < w->blocks; b++) {
    for (uint32_t block_end = min_u32(i + w->block_columns, w->k); i < block_end;) {
      v128_t part[4];
      UNROLL for (int c = 0; c < C; c++) part[c] = splat(0);
      for (uint32_t end = min_u32(i + SPAN, block_end); i < end; i += 4) {
        v128_t xs = load(x + i);
        UNROLL for (int c = 0; c < C; c++) {
          part[c] = add(part[c], mul(xs, load_weights(rows + c * w->stride, i, type, how)));
        }
      }
      UNROLL for (int c = 0; c < C; c++) total[c] = add(total[c], mul(part[c], splat(row_factors(w, n + c)[b])));
    }
  }
  finish(1, C, total, y, w, n, add_to);
}

INLINE void multiply_rows(const enum weight_type type, const struct rows *rows, uint32_t first, const struct weights *w,
                          uint32_t begin, uint32_t end, uint32_t add_to) {
  const struct widening how = widening_of(type);
  uint32_t n = begin;
  for (; n + 4 <= end; n += 4) {
    for (uint32_t r = first; r < rows->count; r++) multiply_row(4, type, &how, rows->x[r], rows->y + r, w, n, add_to);
  }
  for (; n < end; n++) {
    for (uint32_t r = first; r < rows->count; r++) multiply_row(1, type, &how, rows->x[r], rows->y + r, w, n, add_to);
  }
}

// packed[k / 4, C, 4] from C rows of weights
INLINE void pack_weights(const int C, const enum weight_type type, float *packed, const struct weights *w, uint32_t n) {
  const struct widening how = widening_of(type);
  const uint8_t *rows = w->values + n * w->stride;
  for (uint32_t i = 0; i < w->k; i += 4) {
    UNROLL for (int c = 0; c < C; c++) store(packed + i * C + 4 * c, load_weights(rows + c * w->stride, i, type, &how));
  }
}

INLINE void pack(const int C, float *packed, const struct weights *w, uint32_t n) {
  switch (w->type) {
  case F32: return pack_weights(C, F32, packed, w, n);
  case BF16: return pack_weights(C, BF16, packed, w, n);
  case F16: return pack_weights(C, F16, packed, w, n);
  case F8_E4M3: return pack_weights(C, F8_E4M3, packed, w, n);
  }
}

// packed[tile, k / 4, TILE_ROWS, 4] from whole tiles of rows
static void pack_rows(float *packed, const struct rows *rows, uint32_t tiled, uint32_t k) {
  for (uint32_t r = 0; r < tiled; r += TILE_ROWS) {
    for (uint32_t i = 0; i < k; i += 4) {
      UNROLL for (int j = 0; j < TILE_ROWS; j++) store(packed + r * k + TILE_ROWS * i + 4 * j, load(rows->x[r + j] + i));
    }
  }
}

// TILE_ROWS rows by C rows of weights, both packed.
INLINE void multiply_tile(const int C, const float *x, const float *packed, float *const *y, const struct weights *w,
                          uint32_t n, uint32_t add_to) {
  enum { R = TILE_ROWS };
  v128_t total[R * TILE_COLUMNS];
  UNROLL for (int j = 0; j < R * C; j++) total[j] = splat(0);
  for (uint32_t b = 0, i = 0; b < w->blocks; b++) {
    for (uint32_t block_end = min_u32(i + w->block_columns, w->k); i < block_end;) {
      v128_t part[R * TILE_COLUMNS];
      UNROLL for (int j = 0; j < R * C; j++) part[j] = splat(0);
      uint32_t end = min_u32(i + SPAN, block_end);
      for (; i < end; i += 4, x += 4 * R, packed += 4 * C) {
        v128_t ws[TILE_COLUMNS];
        UNROLL for (int c = 0; c < C; c++) ws[c] = load(packed + 4 * c);
        UNROLL for (int r = 0; r < R; r++) {
          v128_t xs = load(x + 4 * r);
          UNROLL for (int c = 0; c < C; c++) part[r * C + c] = add(part[r * C + c], mul(xs, ws[c]));
        }
      }
      UNROLL for (int j = 0; j < R * C; j++) {
        total[j] = add(total[j], mul(part[j], splat(row_factors(w, n + j % C)[b])));
      }
    }
  }
  finish(R, C, total, y, w, n, add_to);
}

INLINE void multiply_tiles(const int C, const struct rows *rows, uint32_t tiled, const float *x, float *packed,
                           const struct weights *w, uint32_t n, uint32_t add_to) {
  pack(C, packed, w, n);
  for (uint32_t r = 0; r < tiled; r += TILE_ROWS) multiply_tile(C, x + r * w->k, packed, rows->y + r, w, n, add_to);
}

// y[r,n] = x[r] · W[n] + bias[n], or += with `add_to`, for all rows and begin ≤ n < end. scratch[PACKED(k)]
static void multiply(const struct rows *rows, const struct weights *w, uint32_t begin, uint32_t end, uint32_t add_to,
                     float *scratch) {
  uint32_t tiled = rows->count / TILE_ROWS * TILE_ROWS, n = begin;
  if (tiled > 0) {
    float *packed = scratch + ROW_BLOCK * w->k;
    pack_rows(scratch, rows, tiled, w->k);
    for (; n + TILE_COLUMNS <= end; n += TILE_COLUMNS) multiply_tiles(TILE_COLUMNS, rows, tiled, scratch, packed, w, n, add_to);
    for (; n < end; n++) multiply_tiles(1, rows, tiled, scratch, packed, w, n, add_to);
  }
  if (tiled == rows->count) return;
  switch (w->type) {
  case F32: return multiply_rows(F32, rows, tiled, w, begin, end, add_to);
  case BF16: return multiply_rows(BF16, rows, tiled, w, begin, end, add_to);
  case F16: return multiply_rows(F16, rows, tiled, w, begin, end, add_to);
  case F8_E4M3: return multiply_rows(F8_E4M3, rows, tiled, w, begin, end, add_to);
  }
}

void matmul(float *y, const float *x, const uint32_t *matrix, float *scratch, uint32_t rows, uint32_t add_to,
            uint32_t begin, uint32_t end) {
  const struct weights w = weights_of(matrix, 0);
  const uint32_t n = ((const struct matrix *)matrix)->n;
  for (uint32_t first = 0; first < rows; first += ROW_BLOCK) {
    struct rows block = {.count = min_u32(ROW_BLOCK, rows - first)};
    for (uint32_t r = 0; r < block.count; r++) {
      block.x[r] = x + (first + r) * w.k;
      block.y[r] = y + (first + r) * n;
    }
    multiply(&block, &w, begin, end, add_to, scratch);
  }
}

void experts_matmul(float *y, const float *x, const uint32_t *matrix, float *scratch, const uint32_t *order,
                    const uint32_t *starts, uint32_t experts, uint32_t per_row, uint32_t begin, uint32_t end) {
  const uint32_t n = ((const struct matrix *)matrix)->n;
  for (uint32_t e = 0; e < experts; e++) {
    const struct weights w = weights_of(matrix, e);
    for (uint32_t first = starts[e]; first < starts[e + 1]; first += ROW_BLOCK) {
      struct rows block = {.count = min_u32(ROW_BLOCK, starts[e + 1] - first)};
      for (uint32_t r = 0; r < block.count; r++) {
        block.x[r] = x + order[first + r] / per_row * w.k;
        block.y[r] = y + order[first + r] * n;
      }
      multiply(&block, &w, begin, end, 0, scratch);
    }
  }
}

#endif

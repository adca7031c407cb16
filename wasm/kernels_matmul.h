// Products of rows with weights: one row at a time straight from the weights, four or more through packed tiles.
#ifndef KERNELS_MATMUL_H
#define KERNELS_MATMUL_H
#include "kernels_weights.h"

// A sum over k is taken in four lanes over SPAN columns, these sums are added up, and the lanes last. Two levels keep the rounding
// small; and as the order is the same on every path below, a row's result does not depend on the rows beside it.
enum { SPAN = 64 };

// Rows computed together: while they lie in the caches, every weight is widened and packed once for all of them.
enum { ROW_BLOCK = 32, TILE_ROWS = 4 };

// Rows of weights that are read side by side, far apart and each followed by its next: the prefetcher sees as many streams, where
// neighbouring rows would look like jumps. A third of the time of a decode step, measured.
enum { ROW_STREAMS = 4, TILE_STREAMS = 2 };

// Rows of x and of y, anywhere.
struct rows {
  const float *x[ROW_BLOCK];
  float *y[ROW_BLOCK];
  uint32_t count;
};

// Rows n, n + step, … of weights.
struct streams {
  const struct weights *weights;
  const uint8_t *rows; // row n
  uint32_t n, step;
  const float *factors[ROW_STREAMS];
};

// Floats of scratch for k columns.
#define PACKED(k) ((ROW_BLOCK + TILE_STREAMS) * (k))

INLINE struct streams streams_at(const int C, const struct weights *w, uint32_t n, uint32_t step) {
  struct streams s = {w, w->values + n * w->stride, n, step, {0}};
  UNROLL for (int c = 0; c < C; c++) s.factors[c] = row_factors(w, n + c * step);
  return s;
}

// total += part · the factors of block b: [R, C] of C streams
INLINE void join(const int R, const int C, v128_t *total, const v128_t *part, const struct streams *s, uint32_t b) {
  UNROLL for (int c = 0; c < C; c++) {
    const v128_t factor = load_splat(s->factors[c] + b);
    UNROLL for (int r = 0; r < R; r++) total[r * C + c] = add(total[r * C + c], mul(part[r * C + c], factor));
  }
}

// Adds up the lanes, and writes or adds the sums to y.
INLINE void finish(const int R, const int C, const v128_t *total, float *const *y, const struct streams *s, uint32_t add_to) {
  float sums[8];
  UNROLL for (int j = 0; j + 4 <= R * C; j += 4) store(sums + j, sum_lanes_of_four(total + j));
  if (R * C == 1) sums[0] = sum_lanes(total[0]);
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int c = 0; c < C; c++) {
      const uint32_t n = s->n + c * s->step;
      const float sum = s->weights->bias ? sums[r * C + c] + s->weights->bias[n] : sums[r * C + c];
      y[r][n] = add_to ? y[r][n] + sum : sum;
    }
  }
}

// One row by C streams, straight from the weights.
INLINE void multiply_row(const int C, const enum weight_type type, const struct widening *how, const float *x,
                         float *const *y, const struct streams *s, uint32_t add_to) {
  const struct weights *w = s->weights;
  const uint32_t apart = s->step * w->stride;
  v128_t total[ROW_STREAMS];
  UNROLL for (int c = 0; c < C; c++) total[c] = splat(0);
  for (uint32_t b = 0, i = 0; b < w->blocks; b++) {
    for (uint32_t block_end = min_u32(i + w->block_columns, w->k); i < block_end;) {
      v128_t part[ROW_STREAMS];
      UNROLL for (int c = 0; c < C; c++) part[c] = splat(0);
      const uint32_t end = min_u32(i + SPAN, block_end);
      for (; i + 8 <= end; i += 8) {
        const v128_t low = load(x + i), high = load(x + i + 4);
        UNROLL for (int c = 0; c < C; c++) {
          const struct eight ws = load8(s->rows + c * apart, i, type, how);
          part[c] = add(add(part[c], mul(low, ws.low)), mul(high, ws.high));
        }
      }
      for (; i < end; i += 4) {
        const v128_t xs = load(x + i);
        UNROLL for (int c = 0; c < C; c++) part[c] = add(part[c], mul(xs, load4(s->rows + c * apart, i, type, how)));
      }
      join(1, C, total, part, s, b);
    }
  }
  finish(1, C, total, y, s, add_to);
}

INLINE void multiply_rows(const enum weight_type type, const struct rows *rows, uint32_t first, const struct weights *w,
                          uint32_t begin, uint32_t end, uint32_t add_to) {
  const struct widening how = widening_of(type);
  const uint32_t step = (end - begin) / ROW_STREAMS;
  for (uint32_t n = begin; n < begin + step; n++) {
    const struct streams s = streams_at(ROW_STREAMS, w, n, step);
    for (uint32_t r = first; r < rows->count; r++) multiply_row(ROW_STREAMS, type, &how, rows->x[r], rows->y + r, &s, add_to);
  }
  for (uint32_t n = begin + ROW_STREAMS * step; n < end; n++) {
    const struct streams s = streams_at(1, w, n, 0);
    for (uint32_t r = first; r < rows->count; r++) multiply_row(1, type, &how, rows->x[r], rows->y + r, &s, add_to);
  }
}

// packed[k / 4, C, 4] from C streams
INLINE void pack_streams(const int C, const enum weight_type type, float *packed, const struct streams *s) {
  const struct widening how = widening_of(type);
  const uint32_t apart = s->step * s->weights->stride, k = s->weights->k;
  for (uint32_t i = 0; i < k; i += 4) {
    UNROLL for (int c = 0; c < C; c++) store(packed + i * C + 4 * c, load4(s->rows + c * apart, i, type, &how));
  }
}

INLINE void pack(const int C, float *packed, const struct streams *s) {
  switch (s->weights->type) {
  case F32: return pack_streams(C, F32, packed, s);
  case BF16: return pack_streams(C, BF16, packed, s);
  case F16: return pack_streams(C, F16, packed, s);
  case F8_E4M3: return pack_streams(C, F8_E4M3, packed, s);
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

// TILE_ROWS rows by C streams, both packed.
INLINE void multiply_tile(const int C, const float *x, const float *packed, float *const *y, const struct streams *s,
                          uint32_t add_to) {
  enum { R = TILE_ROWS };
  const struct weights *w = s->weights;
  v128_t total[R * TILE_STREAMS];
  UNROLL for (int j = 0; j < R * C; j++) total[j] = splat(0);
  for (uint32_t b = 0, i = 0; b < w->blocks; b++) {
    for (uint32_t block_end = min_u32(i + w->block_columns, w->k); i < block_end;) {
      v128_t part[R * TILE_STREAMS];
      UNROLL for (int j = 0; j < R * C; j++) part[j] = splat(0);
      for (const uint32_t end = min_u32(i + SPAN, block_end); i < end; i += 4, x += 4 * R, packed += 4 * C) {
        v128_t ws[TILE_STREAMS];
        UNROLL for (int c = 0; c < C; c++) ws[c] = load(packed + 4 * c);
        UNROLL for (int r = 0; r < R; r++) {
          const v128_t xs = load(x + 4 * r);
          UNROLL for (int c = 0; c < C; c++) part[r * C + c] = add(part[r * C + c], mul(xs, ws[c]));
        }
      }
      join(R, C, total, part, s, b);
    }
  }
  finish(R, C, total, y, s, add_to);
}

INLINE void multiply_tiles(const int C, const struct rows *rows, uint32_t tiled, float *scratch, const struct streams *s,
                           uint32_t add_to) {
  const uint32_t k = s->weights->k;
  float *packed = scratch + ROW_BLOCK * k;
  pack(C, packed, s);
  for (uint32_t r = 0; r < tiled; r += TILE_ROWS) multiply_tile(C, scratch + r * k, packed, rows->y + r, s, add_to);
}

static void multiply_tiled(const struct rows *rows, uint32_t tiled, const struct weights *w, uint32_t begin, uint32_t end,
                           uint32_t add_to, float *scratch) {
  const uint32_t step = (end - begin) / TILE_STREAMS;
  pack_rows(scratch, rows, tiled, w->k);
  for (uint32_t n = begin; n < begin + step; n++) {
    const struct streams s = streams_at(TILE_STREAMS, w, n, step);
    multiply_tiles(TILE_STREAMS, rows, tiled, scratch, &s, add_to);
  }
  for (uint32_t n = begin + TILE_STREAMS * step; n < end; n++) {
    const struct streams s = streams_at(1, w, n, 0);
    multiply_tiles(1, rows, tiled, scratch, &s, add_to);
  }
}

// y[r,n] = x[r] · W[n] + bias[n], or += with `add_to`, for all rows and begin ≤ n < end. scratch[PACKED(k)]
static void multiply(const struct rows *rows, const struct weights *w, uint32_t begin, uint32_t end, uint32_t add_to,
                     float *scratch) {
  const uint32_t tiled = rows->count / TILE_ROWS * TILE_ROWS;
  if (tiled > 0) multiply_tiled(rows, tiled, w, begin, end, add_to, scratch);
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

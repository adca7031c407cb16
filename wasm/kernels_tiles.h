// Products of many rows: weights are widened and packed once for a block of rows, then multiplied tile by tile.
#ifndef KERNELS_TILES_H
#define KERNELS_TILES_H
#include "kernels_streams.h"

// Rows computed together, while they lie in the caches.
enum { ROW_BLOCK = 32 };

// Rows and streams of one tile: eight sums in registers.
enum { TILE_ROWS = 4, TILE_STREAMS = 2 };

// Floats of scratch for k columns.
#define PACKED(k) ((ROW_BLOCK + TILE_STREAMS) * (k))
_Static_assert(PACKED(1) == 34, "scratch of kernels.h");

// Rows of x and of y, anywhere.
struct rows {
  const float *x[ROW_BLOCK];
  float *y[ROW_BLOCK];
  uint32_t count;
};

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
  case Q8: return pack_streams(C, Q8, packed, s);
  case Q4: return pack_streams(C, Q4, packed, s);
  }
}

// packed[tile, k / 4, TILE_ROWS, 4] from whole tiles of rows
static void pack_rows(float *packed, const struct rows *rows, uint32_t tiled, uint32_t k) {
  for (uint32_t r = 0; r < tiled; r += TILE_ROWS) {
    for (uint32_t i = 0; i < k; i += 4) {
      float *four = packed + r * k + TILE_ROWS * i;
      UNROLL for (int j = 0; j < TILE_ROWS; j++) store(four + 4 * j, load(rows->x[r + j] + i));
    }
  }
}

// TILE_ROWS rows by C streams, both packed; `type` tells how factors are stored.
INLINE void multiply_tile(const int C, const enum weight_type type, const float *x, const float *packed,
                          float *const *y, const struct streams *s, uint32_t add_to) {
  enum { R = TILE_ROWS };
  const struct weights *w = s->weights;
  v128_t total[MOST];
  UNROLL for (int j = 0; j < R * C; j++) total[j] = splat(0);
  for (uint32_t b = 0, i = 0; b < w->blocks; b++) {
    for (uint32_t block_end = min_u32(i + w->block_columns, w->k); i < block_end;) {
      v128_t part[MOST], sums[MOST];
      UNROLL for (int j = 0; j < R * C; j++) part[j] = splat(0);
      UNROLL for (int r = 0; r < R; r++) sums[r] = type == Q4 ? sum_group(x + 4 * r, 4 * R) : splat(0);
      for (const uint32_t end = min_u32(i + SPAN, block_end); i < end; i += 4, x += 4 * R, packed += 4 * C) {
        v128_t ws[TILE_STREAMS];
        UNROLL for (int c = 0; c < C; c++) ws[c] = load(packed + 4 * c);
        UNROLL for (int r = 0; r < R; r++) {
          const v128_t xs = load(x + 4 * r);
          UNROLL for (int c = 0; c < C; c++) part[r * C + c] = add(part[r * C + c], mul(xs, ws[c]));
        }
      }
      join(R, C, type, total, part, sums, s, b);
    }
  }
  finish(R, C, total, y, s, add_to);
}

INLINE void multiply_tiles(const int C, const struct rows *rows, uint32_t tiled, float *scratch,
                           const struct streams *s, uint32_t add_to) {
  const uint32_t k = s->weights->k;
  float *packed = scratch + ROW_BLOCK * k;
  pack(C, packed, s);
  for (uint32_t r = 0; r < tiled; r += TILE_ROWS) {
    const float *x = scratch + r * k;
    switch (s->weights->type) {
    case Q8: multiply_tile(C, Q8, x, packed, rows->y + r, s, add_to); break;
    case Q4: multiply_tile(C, Q4, x, packed, rows->y + r, s, add_to); break;
    default: multiply_tile(C, F32, x, packed, rows->y + r, s, add_to);
    }
  }
}

// The first `tiled` rows, a multiple of TILE_ROWS.
static void multiply_tiled(const struct rows *rows, uint32_t tiled, const struct weights *w, uint32_t begin,
                           uint32_t end, uint32_t add_to, float *scratch) {
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

#endif

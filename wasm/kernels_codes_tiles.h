// Products of narrowed rows with weights of Q8 and Q4: some rows at a time, with some weights that were put in order before.
#ifndef KERNELS_CODES_TILES_H
#define KERNELS_CODES_TILES_H
#include "kernels_codes_row.h"
#include "kernels_narrow.h"
#include "kernels_streams.h"

// Rows of weights that are packed at once, four to a vector, and most rows of x that are multiplied with them at once.
enum { PACKED_COLUMNS = 8, PACKED_VECTORS = PACKED_COLUMNS / 4, MOST_CODE_ROWS = 4 };

// Rows that are computed with the same packed weights, one after the other.
enum { CODE_ROW_BLOCK = 64 };

// Narrowed rows and rows of y, anywhere.
struct code_rows {
  struct narrowed x[CODE_ROW_BLOCK];
  float *y[CODE_ROW_BLOCK];
  uint32_t count;
};

// Where packed weights lie: codes[units, vectors, 4, 16], of which a vector has four bytes of each of four rows;
// factors[groups, scales or minima, vectors, 4] as f32.
struct packed_codes {
  uint8_t *codes;
  float *factors;
};

INLINE uint32_t factor_vectors(const enum weight_type type) { return type == Q4 ? 2 * PACKED_VECTORS : PACKED_VECTORS; }

// Rows of weights n, n + step, …
INLINE void pack_codes(struct packed_codes packed, const struct weights *w, uint32_t n, uint32_t step, uint32_t end,
                       const enum weight_type type) {
  const uint32_t k = w->k, groups = k / GROUP;
  for (int v = 0; v < PACKED_VECTORS; v++) {
    const uint8_t *rows[4], *factors[4];
    UNROLL for (int c = 0; c < 4; c++) {
      const uint32_t row = min_u32(n + (4 * v + c) * step, end - 1);
      rows[c] = w->values + row * w->stride;
      factors[c] = w->factors + row * w->factor_stride;
    }
    uint8_t *codes = packed.codes + v * 4 * UNIT;
    for (uint32_t u = groups * units_of(type); u > 0; u--, codes += PACKED_VECTORS * 4 * UNIT) {
      v128_t units[4];
      UNROLL for (int c = 0; c < 4; c++) {
        units[c] = wasm_v128_load(rows[c]);
        rows[c] += UNIT;
      }
      transpose(units);
      UNROLL for (int j = 0; j < 4; j++) wasm_v128_store(codes + j * UNIT, units[j]);
    }
    float *at = packed.factors + v * 4;
    for (uint32_t b = 0; b < groups; b += 4) {
      v128_t words[4];
      const uint32_t left = min_u32(4, groups - b);
      UNROLL for (int c = 0; c < 4; c++) words[c] = load_factors(factors[c], b, left, type);
      transpose(words);
      UNROLL for (int j = 0; j < 4; j++) {
        if (j < (int)left) {
          store(at, scales_of(words[j]));
          if (type == Q4) store(at + 4 * PACKED_VECTORS, minima_of(words[j]));
          at += 4 * factor_vectors(type);
        }
      }
    }
  }
}

// dots += R rows of x by the packed codes at even or odd places of four bytes.
INLINE void add_products(const int R, v128_t *dots, const uint8_t **x, uint32_t at, const v128_t *codes, const int first,
                         const enum weight_type type) {
  UNROLL for (int r = 0; r < R; r++) {
    IN_ORDER(x[r]);
    const v128_t xs = wasm_v128_load32_splat(x[r] + at);
    UNROLL for (int v = 0; v < PACKED_VECTORS; v++) {
      v128_t *sum = dots + r * PACKED_VECTORS + v;
      const v128_t products = dot_codes(xs, codes[v], type);
      *sum = first ? products : add_dots(*sum, products, type);
      IN_ORDER(*sum);
    }
  }
}

// dots = R rows of x by a group of packed weights.
INLINE void group_tile(const int R, v128_t *dots, const uint8_t **x, const uint8_t *packed, const enum weight_type type,
                       const struct masks *masks) {
  UNROLL for (int u = 0; u < units_of(type); u++) {
    UNROLL for (int j = 0; j < 4; j++) {
      v128_t units[PACKED_VECTORS], codes[PACKED_VECTORS];
      UNROLL for (int v = 0; v < PACKED_VECTORS; v++) {
        units[v] = wasm_v128_load(packed + ((u * PACKED_VECTORS + v) * 4 + j) * UNIT);
        codes[v] = even_codes(units[v], type, masks);
      }
      add_products(R, dots, x, u * UNIT_OF_X + 4 * j, codes, u == 0 && j == 0, type);
      UNROLL for (int v = 0; v < PACKED_VECTORS; v++) codes[v] = odd_codes(units[v], type, masks);
      add_products(R, dots, x, u * UNIT_OF_X + 16 + 4 * j, codes, 0, type);
    }
  }
}

// R rows by all packed columns.
INLINE void multiply_code_tile(const int R, const struct narrowed *rows, float *const *y, struct packed_codes packed,
                               const struct weights *w, uint32_t n, uint32_t step, uint32_t end, uint32_t add_to,
                               const enum weight_type type) {
  const struct masks masks = masks_of();
  const uint32_t groups = w->k / GROUP;
  const uint8_t *x[MOST_CODE_ROWS];
  const float *scales[MOST_CODE_ROWS], *sums[MOST_CODE_ROWS];
  UNROLL for (int r = 0; r < R; r++) {
    x[r] = rows[r].codes;
    scales[r] = rows[r].scales;
    sums[r] = rows[r].sums;
  }
  v128_t total[MOST_CODE_ROWS * PACKED_VECTORS], dots[MOST_CODE_ROWS * PACKED_VECTORS];
  clear_sums(total, R * PACKED_VECTORS);
  const uint8_t *codes = packed.codes;
  const float *factors = packed.factors;
  for (uint32_t b = 0; b < groups; b++) {
    group_tile(R, dots, x, codes, type, &masks);
    UNROLL for (int r = 0; r < R; r++) {
      const v128_t x_scale = load_splat(scales[r] + b), x_sum = type == Q4 ? load_splat(sums[r] + b) : x_scale;
      UNROLL for (int v = 0; v < PACKED_VECTORS; v++) {
        const int i = r * PACKED_VECTORS + v;
        const v128_t products = type == Q4 ? wasm_i32x4_dot_i16x8(dots[i], masks.ones) : dots[i];
        const v128_t scale = load(factors + 4 * v);
        total[i] = add_group(total[i], products, x_scale, x_sum, scale,
                             type == Q4 ? load(factors + 4 * (PACKED_VECTORS + v)) : scale, type);
      }
      x[r] += units_of(type) * UNIT_OF_X;
    }
    codes += units_of(type) * PACKED_VECTORS * 4 * UNIT;
    factors += 4 * factor_vectors(type);
  }
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int v = 0; v < PACKED_VECTORS; v++)
      write_lanes(y[r], total[r * PACKED_VECTORS + v], w->bias, n + 4 * v * step, step, end, add_to);
  }
}

#define CODE_TILE(TYPE, R)                                                                                             \
  static __attribute__((noinline)) void code_tile_##TYPE##_##R(                                                        \
      const struct narrowed *rows, float *const *y, struct packed_codes packed, const struct weights *w, uint32_t n,   \
      uint32_t step, uint32_t end, uint32_t add_to) {                                                                  \
    multiply_code_tile(R, rows, y, packed, w, n, step, end, add_to, TYPE);                                             \
  }

CODE_TILE(Q8, 1)
CODE_TILE(Q8, 2)
CODE_TILE(Q8, 3)
CODE_TILE(Q8, 4)
CODE_TILE(Q4, 1)
CODE_TILE(Q4, 2)
CODE_TILE(Q4, 3)
CODE_TILE(Q4, 4)

INLINE void code_tile(uint32_t count, const struct narrowed *rows, float *const *y, struct packed_codes packed,
                      const struct weights *w, uint32_t n, uint32_t step, uint32_t end, uint32_t add_to,
                      const enum weight_type type) {
  switch (count) {
  case 1: return (type == Q8 ? code_tile_Q8_1 : code_tile_Q4_1)(rows, y, packed, w, n, step, end, add_to);
  case 2: return (type == Q8 ? code_tile_Q8_2 : code_tile_Q4_2)(rows, y, packed, w, n, step, end, add_to);
  case 3: return (type == Q8 ? code_tile_Q8_3 : code_tile_Q4_3)(rows, y, packed, w, n, step, end, add_to);
  case 4: return (type == Q8 ? code_tile_Q8_4 : code_tile_Q4_4)(rows, y, packed, w, n, step, end, add_to);
  }
}

INLINE void multiply_packed(const struct code_rows *rows, const struct weights *w, uint32_t begin, uint32_t end,
                            uint32_t add_to, float *scratch, const enum weight_type type) {
  const struct packed_codes packed = {(uint8_t *)scratch, scratch + PACKED_COLUMNS * w->stride / 4};
  const uint32_t step = (end - begin + PACKED_COLUMNS - 1) / PACKED_COLUMNS;
  const uint32_t tiles = (rows->count + MOST_CODE_ROWS - 1) / MOST_CODE_ROWS;
  for (uint32_t n = begin; n < begin + step; n++) {
    pack_codes(packed, w, n, step, end, type);
    for (uint32_t t = 0; t < tiles; t++) {
      const uint32_t r = rows->count * t / tiles, count = rows->count * (t + 1) / tiles - r;
      code_tile(count, rows->x + r, rows->y + r, packed, w, n, step, end, add_to, type);
    }
  }
}

#define MULTIPLY_CODES(TYPE)                                                                                           \
  static __attribute__((noinline)) void multiply_codes_##TYPE(const struct code_rows *rows, const struct weights *w,   \
                                                              uint32_t begin, uint32_t end, uint32_t add_to,           \
                                                              float *scratch) {                                      \
    if (rows->count == 1) multiply_code_row(TYPE, rows->x[0], rows->y[0], w, begin, end, add_to);                      \
    else multiply_packed(rows, w, begin, end, add_to, scratch, TYPE);                                                  \
  }

MULTIPLY_CODES(Q8)
MULTIPLY_CODES(Q4)

// y[r,n] = x[r] · W[n] + bias[n], or += with `add_to`, for all rows and begin ≤ n < end.
INLINE void multiply_codes(const struct code_rows *rows, const struct weights *w, uint32_t begin, uint32_t end,
                           uint32_t add_to, float *scratch) {
  if (w->type == Q8) multiply_codes_Q8(rows, w, begin, end, add_to, scratch);
  else multiply_codes_Q4(rows, w, begin, end, add_to, scratch);
}

void matmul_codes(float *y, const uint32_t *x, const uint32_t *matrix, float *scratch, uint32_t rows, uint32_t add_to,
                  uint32_t begin, uint32_t end) {
  const struct weights w = weights_of(matrix, 0);
  const uint32_t n = ((const struct matrix *)matrix)->n;
  for (uint32_t first = 0; first < rows; first += CODE_ROW_BLOCK) {
    struct code_rows block = {.count = min_u32(CODE_ROW_BLOCK, rows - first)};
    for (uint32_t r = 0; r < block.count; r++) {
      block.x[r] = narrowed_row(x, w.type, w.k, first + r);
      block.y[r] = y + (first + r) * n;
    }
    multiply_codes(&block, &w, begin, end, add_to, scratch);
  }
}

void experts_matmul_codes(float *y, const uint32_t *x, const uint32_t *matrix, float *scratch, const uint32_t *order,
                          const uint32_t *starts, uint32_t experts, uint32_t per_row, uint32_t begin, uint32_t end) {
  const uint32_t n = ((const struct matrix *)matrix)->n;
  for (uint32_t e = 0; e < experts; e++) {
    if (starts[e] == starts[e + 1]) continue;
    const struct weights w = weights_of(matrix, e);
    for (uint32_t first = starts[e]; first < starts[e + 1]; first += CODE_ROW_BLOCK) {
      struct code_rows block = {.count = min_u32(CODE_ROW_BLOCK, starts[e + 1] - first)};
      for (uint32_t r = 0; r < block.count; r++) {
        block.x[r] = narrowed_row(x, w.type, w.k, order[first + r] / per_row);
        block.y[r] = y + order[first + r] * n;
      }
      multiply_codes(&block, &w, begin, end, 0, scratch);
    }
  }
}

#endif

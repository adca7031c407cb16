// Weights: rows of any type, read four or eight elements at a time as f32.
#ifndef KERNELS_WEIGHTS_H
#define KERNELS_WEIGHTS_H
#include "kernels_simd.h"

enum weight_type { F32, BF16, F16, F8_E4M3 };

// The words of `matrix` in kernels.h.
struct matrix {
  const uint8_t *values;
  uint32_t type, n, k;
  const float *bias, *factors;
  uint32_t block_rows, block_columns;
};

// Rows of weights as a product reads them, `stride` bytes apart.
struct weights {
  const uint8_t *values;
  uint32_t stride, type, k;
  const float *bias, *factors; // 0 where there are none
  uint32_t block_rows, block_columns;
  uint32_t blocks; // of a row
};

// W[e] of a stack, or the one W with e = 0.
INLINE struct weights weights_of(const uint32_t *words, uint32_t e) {
  static const uint8_t ELEMENT_BYTES[] = {4, 2, 2, 1};
  const struct matrix *m = (const struct matrix *)words;
  struct weights w = {.type = m->type, .k = m->k, .bias = m->bias, .factors = m->factors};
  w.stride = m->k * ELEMENT_BYTES[m->type];
  w.values = m->values + e * m->n * w.stride;
  w.block_rows = m->factors ? m->block_rows : 1;
  w.block_columns = m->factors ? m->block_columns : m->k;
  w.blocks = (m->k + w.block_columns - 1) / w.block_columns;
  if (m->factors) w.factors += e * ((m->n + w.block_rows - 1) / w.block_rows) * w.blocks;
  return w;
}

// f32 rows of k elements, `stride` elements apart, as weights.
INLINE struct weights plain_weights(const float *rows, uint32_t stride, uint32_t k) {
  return (struct weights){(const uint8_t *)rows, 4 * stride, F32, k, 0, 0, 1, k, 1};
}

// Factors of row n, one a block of columns.
INLINE const float *row_factors(const struct weights *w, uint32_t n) {
  static const float ONE = 1;
  return w->factors ? w->factors + n / w->block_rows * w->blocks : &ONE;
}

// What turns small floats into f32. `keep`: the bits of sign, exponent and mantissa; `scale` mends the exponent's bias,
// by 2^112 or 2^120; `odd`: the bits that are all set in infinities and NaN, or in NaN; `special`: those in f32.
struct widening {
  v128_t keep, scale, odd, special;
};

// Read from memory: of constants in the code V8 would make a vector anew wherever it uses one.
INLINE struct widening widening_of(const enum weight_type type) {
  static const volatile uint32_t BITS[2][4] = {{0x8fffffff, 239u << 23, 0x0f800000, 0x7f800000},
                                               {0x87ffffff, 247u << 23, 0x07f00000, 0x7f800000}};
  if (type == F32 || type == BF16) return (struct widening){0};
  const volatile uint32_t *bits = BITS[type == F8_E4M3];
  return (struct widening){wasm_u32x4_splat(bits[0]), wasm_u32x4_splat(bits[1]), wasm_u32x4_splat(bits[2]),
                           wasm_u32x4_splat(bits[3])};
}

// Codes of F16 or F8_E4M3, moved so that their exponent ends where that of f32 does. Exact, subnormals included.
INLINE v128_t widen(v128_t moved, const struct widening *how) {
  v128_t bits = wasm_v128_and(moved, how->keep);
  v128_t odd = wasm_i32x4_eq(wasm_v128_and(bits, how->odd), how->odd);
  return wasm_v128_or(mul(bits, how->scale), wasm_v128_and(odd, how->special));
}

// From codes at the top of each lane, zeros below. Below here, `type` is a constant wherever a function is inlined.
INLINE v128_t decode(v128_t codes, const enum weight_type type, const struct widening *how) {
  switch (type) {
  case F16: return widen(wasm_i32x4_shr(codes, 3), how);
  case F8_E4M3: return widen(wasm_i32x4_shr(codes, 4), how);
  default: return codes; // BF16 is the upper half of f32
  }
}

struct eight {
  v128_t low, high;
};

// Elements i … i + 7 of a row, without their factor.
INLINE struct eight load8(const uint8_t *row, uint32_t i, const enum weight_type type, const struct widening *how) {
  if (type == F32) return (struct eight){wasm_v128_load(row + 4 * i), wasm_v128_load(row + 4 * i + 16)};
  const v128_t zero = wasm_i32x4_splat(0);
  v128_t codes = type == F8_E4M3 ? wasm_i16x8_shl(wasm_u16x8_load8x8(row + i), 8) : wasm_v128_load(row + 2 * i);
  v128_t low = wasm_i16x8_shuffle(zero, codes, 0, 8, 1, 9, 2, 10, 3, 11);
  v128_t high = wasm_i16x8_shuffle(zero, codes, 4, 12, 5, 13, 6, 14, 7, 15);
  return (struct eight){decode(low, type, how), decode(high, type, how)};
}

// Elements i … i + 3 of a row, without their factor.
INLINE v128_t load4(const uint8_t *row, uint32_t i, const enum weight_type type, const struct widening *how) {
  switch (type) {
  case F32: return wasm_v128_load(row + 4 * i);
  case F8_E4M3: {
    v128_t codes = wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(row + i)));
    return decode(wasm_i32x4_shl(codes, 24), type, how);
  }
  default: return decode(wasm_i32x4_shl(wasm_u32x4_load16x4(row + 2 * i), 16), type, how);
  }
}

// Row n as f32, times its factors.
static inline void widen_row(float *y, const struct weights *w, uint32_t n, const enum weight_type type) {
  const struct widening how = widening_of(type);
  const float *factors = row_factors(w, n);
  for (uint32_t i = 0; i < w->k; i += 4) {
    v128_t values = load4(w->values + n * w->stride, i, type, &how);
    store(y + i, mul(values, splat(factors[i / w->block_columns])));
  }
}

void embed(float *y, const uint32_t *ids, const uint32_t *matrix, uint32_t begin, uint32_t end) {
  const struct weights w = weights_of(matrix, 0);
  for (uint32_t t = begin; t < end; t++) {
    switch (w.type) {
    case F32: widen_row(y + t * w.k, &w, ids[t], F32); break;
    case BF16: widen_row(y + t * w.k, &w, ids[t], BF16); break;
    case F16: widen_row(y + t * w.k, &w, ids[t], F16); break;
    case F8_E4M3: widen_row(y + t * w.k, &w, ids[t], F8_E4M3); break;
    }
  }
}

#endif

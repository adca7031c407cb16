// Weights: rows of any type, read four or eight elements at a time as f32.
#ifndef KERNELS_WEIGHTS_H
#define KERNELS_WEIGHTS_H
#include "kernels_simd.h"

enum weight_type { F32, BF16, F16, F8_E4M3, Q8, Q4 };

// Columns of Q8 and Q4 that share their factors.
enum { GROUP = 32 };

// Whether weights of a type come with factors.
INLINE int has_factors(const enum weight_type type) { return type >= F8_E4M3; }

// What n elements take.
INLINE uint32_t bytes_of(const enum weight_type type, uint32_t n) {
  return type == F32 ? 4 * n : type == BF16 || type == F16 ? 2 * n : type == Q4 ? n / 2 : n;
}

// The words of `matrix` in kernels.h.
struct matrix {
  const uint8_t *values;
  uint32_t type, n, k;
  const float *bias;
  const uint8_t *factors;
  uint32_t block_rows, block_columns;
};

// Rows of weights as a product reads them, `stride` bytes apart.
struct weights {
  const uint8_t *values;
  uint32_t stride, type, k;
  const float *bias;      // 0 where there is none
  const uint8_t *factors; // likewise
  uint32_t block_rows, block_columns;
  uint32_t blocks, factor_stride; // blocks of a row, and the bytes of their factors
};

// W[e] of a stack, or the one W with e = 0.
INLINE struct weights weights_of(const uint32_t *words, uint32_t e) {
  static const uint8_t ELEMENT_BITS[] = {32, 16, 16, 8, 8, 4}, FACTOR_BYTES[] = {4, 4, 4, 4, 2, 4};
  const struct matrix *m = (const struct matrix *)words;
  struct weights w = {.type = m->type, .k = m->k, .bias = m->bias, .factors = m->factors};
  w.stride = m->k * ELEMENT_BITS[m->type] / 8;
  w.values = m->values + e * m->n * w.stride;
  w.block_rows = m->factors ? m->block_rows : 1;
  w.block_columns = m->factors ? m->block_columns : m->k;
  w.blocks = (m->k + w.block_columns - 1) / w.block_columns;
  w.factor_stride = w.blocks * FACTOR_BYTES[m->type];
  if (m->factors) w.factors += e * ((m->n + w.block_rows - 1) / w.block_rows) * w.factor_stride;
  return w;
}

// f32 rows of k elements, `stride` elements apart, as weights.
INLINE struct weights plain_weights(const float *rows, uint32_t stride, uint32_t k) {
  return (struct weights){(const uint8_t *)rows, 4 * stride, F32, k, 0, 0, 1, k, 1, 0};
}

// Factors of row n, one a block of columns.
INLINE const uint8_t *row_factors(const struct weights *w, uint32_t n) {
  static const float ONE = 1;
  return w->factors ? w->factors + n / w->block_rows * w->factor_stride : (const uint8_t *)&ONE;
}

// An f16 in four lanes as f32; of finite values only, as factors are.
INLINE v128_t widen_half(const uint8_t *at) {
  static const uint32_t CONSTANTS[] = {0x8fffffff, 239u << 23}; // sign, exponent and mantissa; 2^112
  const float *c = (const float *)CONSTANTS;
  IN_ORDER(c);
  const v128_t moved = wasm_i32x4_shr(wasm_i32x4_shl(wasm_v128_load16_splat(at), 16), 3);
  return mul(wasm_v128_and(moved, load_splat(c)), load_splat(c + 1));
}

// What the codes of block b are multiplied by.
INLINE v128_t factor_of(const enum weight_type type, const uint8_t *factors, uint32_t b) {
  switch (type) {
  case Q8: return widen_half(factors + 2 * b);
  case Q4: return widen_half(factors + 4 * b);
  default: return load_splat((const float *)factors + b);
  }
}

// What is added to the products of Q4.
INLINE v128_t minimum_of(const uint8_t *factors, uint32_t b) { return widen_half(factors + 4 * b + 2); }

// What turns small floats into f32. `keep`: the bits of sign, exponent and mantissa; `scale` mends the exponent's bias,
// by 2^112 or 2^120; `odd`: the bits that are all set in infinities and NaN, or in NaN; `special`: those in f32.
struct widening {
  v128_t keep, scale, odd, special;
};

// Read from memory: of constants in the code V8 would make a vector anew wherever it uses one.
INLINE struct widening widening_of(const enum weight_type type) {
  static const volatile uint32_t BITS[2][4] = {{0x8fffffff, 239u << 23, 0x0f800000, 0x7f800000},
                                               {0x87ffffff, 247u << 23, 0x07f00000, 0x7f800000}};
  if (type != F16 && type != F8_E4M3) return (struct widening){0};
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

// Codes of Q8 or Q4, i … i + 3, as the lower four of eight words.
INLINE v128_t load_codes(const uint8_t *row, uint32_t i, const enum weight_type type) {
  if (type == Q8) return wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(row + i));
  v128_t pairs = wasm_v128_load16_splat(row + i / 2);
  v128_t low = wasm_v128_and(pairs, wasm_i8x16_splat(15)), high = wasm_u8x16_shr(pairs, 4);
  v128_t codes = wasm_i8x16_shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return wasm_u16x8_extend_low_u8x16(codes);
}

// As f32. Where the compiler sees the integers become wider first, it converts them one by one.
INLINE v128_t convert(v128_t integers) {
  IN_ORDER(integers);
  return wasm_f32x4_convert_i32x4(integers);
}

// Elements i … i + 7 of a row of BF16, F16 or F8_E4M3, as words.
INLINE v128_t load8(const uint8_t *row, uint32_t i, const enum weight_type type) {
  switch (type) {
  case F8_E4M3: return wasm_i16x8_shl(wasm_u16x8_load8x8(row + i), 8);
  default: return wasm_v128_load(row + 2 * i);
  }
}

// The first or the last four of them.
INLINE v128_t widen4(v128_t words, const int last, const enum weight_type type, const struct widening *how) {
  const v128_t zero = wasm_i32x4_splat(0);
  return decode(last ? wasm_i16x8_shuffle(zero, words, 4, 12, 5, 13, 6, 14, 7, 15)
                     : wasm_i16x8_shuffle(zero, words, 0, 8, 1, 9, 2, 10, 3, 11),
                type, how);
}

// Elements i … i + 3 of a row, without their factor.
INLINE v128_t load4(const uint8_t *row, uint32_t i, const enum weight_type type, const struct widening *how) {
  switch (type) {
  case F32: return wasm_v128_load(row + 4 * i);
  case F8_E4M3: {
    v128_t codes = wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(row + i)));
    return decode(wasm_i32x4_shl(codes, 24), type, how);
  }
  case Q8:
  case Q4: return convert(wasm_i32x4_extend_low_i16x8(load_codes(row, i, type)));
  default: return decode(wasm_i32x4_shl(wasm_u32x4_load16x4(row + 2 * i), 16), type, how);
  }
}

// Row n as f32, times its factors.
static inline void widen_row(float *y, const struct weights *w, uint32_t n, const enum weight_type type) {
  const struct widening how = widening_of(type);
  const uint8_t *factors = row_factors(w, n);
  for (uint32_t i = 0; i < w->k; i += 4) {
    const uint32_t b = i / w->block_columns;
    v128_t values = mul(load4(w->values + n * w->stride, i, type, &how), factor_of(type, factors, b));
    store(y + i, type == Q4 ? add(values, minimum_of(factors, b)) : values);
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
    case Q8: widen_row(y + t * w.k, &w, ids[t], Q8); break;
    case Q4: widen_row(y + t * w.k, &w, ids[t], Q4); break;
    }
  }
}

#endif

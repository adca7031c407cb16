// Products of codes: rows of x narrowed to integers, for weights of Q8 and Q4.
#ifndef KERNELS_CODES_H
#define KERNELS_CODES_H
#include "kernels_weights.h"

// A unit is 16 bytes of a row of weights: 16 codes of Q8 or 32 of Q4. Of x it has two vectors: what is multiplied with
// the codes at even places, and what with those at odd ones, as words for Q8 and as bytes for Q4.
enum { UNIT = 16, UNIT_OF_X = 32 };

// Units of a group.
INLINE int units_of(const enum weight_type type) { return type == Q8 ? 2 : 1; }

// A narrowed row of x: its codes, and for each group their scale, and for Q4 their sum times the scale.
struct narrowed {
  const uint8_t *codes;
  const float *scales, *sums;
};

// Groups of k columns, in whole vectors.
INLINE uint32_t padded_groups(uint32_t k) { return (k / GROUP + 3) / 4 * 4; }

// What a narrowed row takes, in words.
INLINE uint32_t narrowed_words(const enum weight_type type, uint32_t k) {
  return type == Q8 ? k / 2 + padded_groups(k) : k / 4 + 2 * padded_groups(k);
}

INLINE struct narrowed narrowed_row(const uint32_t *rows, const enum weight_type type, uint32_t k, uint32_t t) {
  const uint8_t *codes = (const uint8_t *)(rows + t * narrowed_words(type, k));
  const float *scales = (const float *)(codes + (type == Q8 ? 2 * k : k));
  return (struct narrowed){codes, scales, scales + padded_groups(k)};
}

// Constants that lie in memory, as V8 would make them anew wherever they are used.
struct masks {
  v128_t nibble, ones;
};

INLINE struct masks masks_of(void) {
  static const volatile uint32_t WORDS[] = {0x0f0f0f0f, 0x00010001};
  return (struct masks){wasm_u32x4_splat(WORDS[0]), wasm_u32x4_splat(WORDS[1])};
}

// The codes at even and at odd places of a unit, or of any four bytes of one in each lane.
INLINE v128_t even_codes(v128_t unit, const enum weight_type type, const struct masks *masks) {
  return type == Q8 ? wasm_i16x8_shr(wasm_i16x8_shl(unit, 8), 8) : wasm_v128_and(unit, masks->nibble);
}

INLINE v128_t odd_codes(v128_t unit, const enum weight_type type, const struct masks *masks) {
  return type == Q8 ? wasm_i16x8_shr(unit, 8) : wasm_v128_and(wasm_u16x8_shr(unit, 4), masks->nibble);
}

// Products of bytes of x with codes from 0 to 15, neighbours added up, as words.
INLINE v128_t dot_bytes(v128_t x, v128_t codes) {
#ifdef __wasm_relaxed_simd__
  return wasm_i16x8_q15mulr_sat(x, codes); // stands for i16x8.relaxed_dot_i8x16_i7x16_s: build.ts
#else
  const v128_t even = wasm_i16x8_mul(wasm_i16x8_shr(wasm_i16x8_shl(x, 8), 8), wasm_u16x8_shr(wasm_i16x8_shl(codes, 8), 8));
  return wasm_i16x8_add(even, wasm_i16x8_mul(wasm_i16x8_shr(x, 8), wasm_u16x8_shr(codes, 8)));
#endif
}

// Neighbours' products added up: of Q8 in double words, of Q4 in words, where eight such sums have room.
INLINE v128_t dot_codes(v128_t x, v128_t codes, const enum weight_type type) {
  return type == Q8 ? wasm_i32x4_dot_i16x8(x, codes) : dot_bytes(x, codes);
}

INLINE v128_t add_dots(v128_t a, v128_t b, const enum weight_type type) {
  return type == Q8 ? wasm_i32x4_add(a, b) : wasm_i16x8_add(a, b);
}

// Four lanes of f16 in the upper half of each, rubbish below, as f32; of finite values.
INLINE v128_t widen_halves(v128_t halves) {
  static const volatile uint32_t WORDS[] = {0x8fffe000, 239u << 23}; // sign, exponent and mantissa; 2^112
  return mul(wasm_v128_and(wasm_i32x4_shr(halves, 3), wasm_u32x4_splat(WORDS[0])), wasm_u32x4_splat(WORDS[1]));
}

// The factors of four rows of weights: scales, and for Q4 minima above them.
INLINE v128_t scales_of(v128_t factors) { return widen_halves(wasm_i32x4_shl(factors, 16)); }
INLINE v128_t minima_of(v128_t factors) { return widen_halves(factors); }

// Factors of groups b … b + n - 1 of a row, n ≤ 4, one a lane.
INLINE v128_t load_factors(const uint8_t *factors, uint32_t b, uint32_t n, const enum weight_type type) {
  uint32_t lanes[4] = {0};
  if (type == Q4) {
    if (n == 4) return wasm_v128_load(factors + 4 * b);
    for (uint32_t i = 0; i < n; i++) lanes[i] = ((const uint32_t *)factors)[b + i];
  } else {
    if (n == 4) return wasm_u32x4_extend_low_u16x8(wasm_v128_load64_zero(factors + 2 * b));
    for (uint32_t i = 0; i < n; i++) lanes[i] = ((const uint16_t *)factors)[b + i];
  }
  return wasm_v128_load(lanes);
}

// Four vectors of four lanes, as a matrix that is turned over.
INLINE void transpose(v128_t *m) {
  const v128_t a = wasm_i32x4_shuffle(m[0], m[1], 0, 4, 1, 5), b = wasm_i32x4_shuffle(m[2], m[3], 0, 4, 1, 5);
  const v128_t c = wasm_i32x4_shuffle(m[0], m[1], 2, 6, 3, 7), d = wasm_i32x4_shuffle(m[2], m[3], 2, 6, 3, 7);
  m[0] = wasm_i32x4_shuffle(a, b, 0, 1, 4, 5);
  m[1] = wasm_i32x4_shuffle(a, b, 2, 3, 6, 7);
  m[2] = wasm_i32x4_shuffle(c, d, 0, 1, 4, 5);
  m[3] = wasm_i32x4_shuffle(c, d, 2, 3, 6, 7);
}

// total + a group's sum of products, times its scales, plus, for Q4, the sum of x times the minima. Every path of Q8 and
// Q4 goes through its groups in their order, with this: so a row's result does not depend on the rows beside it.
INLINE v128_t add_group(v128_t total, v128_t products, v128_t x_scale, v128_t x_sum, v128_t scales, v128_t minima,
                        const enum weight_type type) {
  total = madd(mul(wasm_f32x4_convert_i32x4(products), x_scale), scales, total);
  return type == Q4 ? madd(x_sum, minima, total) : total;
}

#endif

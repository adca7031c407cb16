// Rows of x as integers, in groups with a scale each: 16 bits for weights of Q8, 8 bits for those of Q4.
#ifndef KERNELS_NARROW_H
#define KERNELS_NARROW_H
#include "kernels_codes.h"

// The greatest magnitude of a group, compared as integers, which are in the same order: NaN if there is one.
INLINE float greatest_magnitude(const float *x) {
  v128_t most = wasm_f32x4_abs(load(x));
  UNROLL for (int i = 4; i < GROUP; i += 4) most = wasm_i32x4_max(most, wasm_f32x4_abs(load(x + i)));
  most = wasm_i32x4_max(most, wasm_i32x4_shuffle(most, most, 2, 3, 0, 1));
  most = wasm_i32x4_max(most, wasm_i32x4_shuffle(most, most, 1, 0, 3, 2));
  return wasm_f32x4_extract_lane(most, 0);
}

// The integers nearest to x · factor, of at most 22 bits: they lie in the lowest bits of a sum.
INLINE v128_t round4(const float *x, v128_t factor, v128_t rounding) {
  return wasm_i32x4_sub(madd(load(x), factor, rounding), rounding);
}

// 16 values as words, those at even places and those at odd ones.
INLINE void round_unit(v128_t *words, const float *x, v128_t factor, v128_t rounding) {
  const v128_t a = round4(x, factor, rounding), b = round4(x + 4, factor, rounding);
  const v128_t c = round4(x + 8, factor, rounding), d = round4(x + 12, factor, rounding);
  words[0] = wasm_i16x8_narrow_i32x4(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(c, d, 0, 2, 4, 6));
  words[1] = wasm_i16x8_narrow_i32x4(wasm_i32x4_shuffle(a, b, 1, 3, 5, 7), wasm_i32x4_shuffle(c, d, 1, 3, 5, 7));
}

// A group of x; gives the sum of its codes.
INLINE int32_t narrow_group(uint8_t *codes, const float *x, v128_t factor, v128_t rounding,
                            const enum weight_type type) {
  v128_t words[4];
  round_unit(words, x, factor, rounding);
  round_unit(words + 2, x + 16, factor, rounding);
  if (type == Q8) {
    UNROLL for (int j = 0; j < 4; j++) wasm_v128_store(codes + 16 * j, words[j]);
    return 0;
  }
  wasm_v128_store(codes, wasm_i8x16_narrow_i16x8(words[0], words[2]));
  wasm_v128_store(codes + 16, wasm_i8x16_narrow_i16x8(words[1], words[3]));
  const v128_t all = wasm_i16x8_add(wasm_i16x8_add(words[0], words[1]), wasm_i16x8_add(words[2], words[3]));
  v128_t sum = wasm_i32x4_extadd_pairwise_i16x8(all);
  sum = wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 2, 3, 0, 1));
  return wasm_i32x4_extract_lane(sum, 0) + wasm_i32x4_extract_lane(sum, 1);
}

INLINE void narrow_row(struct narrowed row, const float *x, uint32_t k, const enum weight_type type) {
  uint8_t *codes = (uint8_t *)row.codes;
  float *scales = (float *)row.scales, *sums = (float *)row.sums;
  const float most = type == Q8 ? 32767 : 127;
  v128_t rounding = splat(ROUNDING);
  IN_ORDER(rounding);
  const uint32_t groups = k / GROUP;
  for (uint32_t b = 0; b < groups; b++, x += GROUP, codes += units_of(type) * UNIT_OF_X) {
    const float magnitude = greatest_magnitude(x);
    scales[b] = magnitude / most;
    const int32_t sum = narrow_group(codes, x, splat(magnitude > 0 ? most / magnitude : 0), rounding, type);
    if (type == Q4) sums[b] = (float)sum * scales[b];
  }
  for (uint32_t b = groups; b < padded_groups(k); b++) {
    scales[b] = 0;
    if (type == Q4) sums[b] = 0;
  }
}

void narrow(uint32_t *y, const float *x, uint32_t type, uint32_t k, uint32_t begin, uint32_t end) {
  for (uint32_t t = begin; t < end; t++) {
    if (type == Q8) narrow_row(narrowed_row(y, Q8, k, t), x + t * k, k, Q8);
    else narrow_row(narrowed_row(y, Q4, k, t), x + t * k, k, Q4);
  }
}

#endif

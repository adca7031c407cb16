// Products of one narrowed row with weights of Q8 and Q4, straight from where these lie.
#ifndef KERNELS_CODES_ROW_H
#define KERNELS_CODES_ROW_H
#include "kernels_codes.h"

INLINE v128_t splat_of(v128_t x, const int lane) {
  switch (lane) {
  case 0: return wasm_i32x4_shuffle(x, x, 0, 0, 0, 0);
  case 1: return wasm_i32x4_shuffle(x, x, 1, 1, 1, 1);
  case 2: return wasm_i32x4_shuffle(x, x, 2, 2, 2, 2);
  default: return wasm_i32x4_shuffle(x, x, 3, 3, 3, 3);
  }
}

// The sums of four vectors of dots, as double words.
INLINE v128_t sum_dots(const v128_t *x, const enum weight_type type, const struct masks *masks) {
  const v128_t a = add_dots(wasm_i32x4_shuffle(x[0], x[1], 0, 1, 4, 5), wasm_i32x4_shuffle(x[0], x[1], 2, 3, 6, 7), type);
  const v128_t b = add_dots(wasm_i32x4_shuffle(x[2], x[3], 0, 1, 4, 5), wasm_i32x4_shuffle(x[2], x[3], 2, 3, 6, 7), type);
  const v128_t sum = add_dots(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7), type);
  return type == Q8 ? sum : wasm_i32x4_dot_i16x8(sum, masks->ones);
}

// The products of a group of x with four rows, one a lane.
INLINE v128_t group_products(const uint8_t *x, const uint8_t **rows, const enum weight_type type,
                             const struct masks *masks) {
  v128_t dots[4];
  UNROLL for (int u = 0; u < units_of(type); u++) {
    const v128_t even = wasm_v128_load(x + u * UNIT_OF_X), odd = wasm_v128_load(x + u * UNIT_OF_X + 16);
    UNROLL for (int c = 0; c < 4; c++) {
      IN_ORDER(rows[c]);
      const v128_t unit = wasm_v128_load(rows[c] + u * UNIT);
      const v128_t dot = add_dots(dot_codes(even, even_codes(unit, type, masks), type),
                                  dot_codes(odd, odd_codes(unit, type, masks), type), type);
      dots[c] = u == 0 ? dot : add_dots(dots[c], dot, type);
      IN_ORDER(dots[c]);
    }
  }
  UNROLL for (int c = 0; c < 4; c++) rows[c] += units_of(type) * UNIT;
  v128_t sums = sum_dots(dots, type, masks);
  if (type == Q4) IN_ORDER(sums);
  return sums;
}

// total += n ≤ 4 groups of x by four rows.
INLINE v128_t add_groups(v128_t total, struct narrowed x, const uint8_t **rows, const uint8_t *const *factors,
                         uint32_t b, uint32_t n, const enum weight_type type, const struct masks *masks) {
  v128_t words[4];
  UNROLL for (int c = 0; c < 4; c++) words[c] = load_factors(factors[c], b, n, type);
  transpose(words);
  const v128_t scales = load(x.scales + b), sums = type == Q4 ? load(x.sums + b) : scales;
  UNROLL for (int j = 0; j < 4; j++) {
    if (j < (int)n) {
      if (type == Q4) IN_ORDER(words[j]);
      const v128_t products = group_products(x.codes + (b + j) * units_of(type) * UNIT_OF_X, rows, type, masks);
      total = add_group(total, products, splat_of(scales, j), splat_of(sums, j), scales_of(words[j]),
                        type == Q4 ? minima_of(words[j]) : total, type);
      if (type == Q4) IN_ORDER(total);
    }
  }
  return total;
}

// y[n], y[n + step], … of up to four rows of weights before `end`.
INLINE void write_lanes(float *y, v128_t lanes, const float *bias, uint32_t n, uint32_t step, uint32_t end,
                        uint32_t add_to) {
  float sums[4];
  store(sums, lanes);
  for (uint32_t c = 0; c < 4 && n + c * step < end; c++) {
    const float sum = bias ? sums[c] + bias[n + c * step] : sums[c];
    y[n + c * step] = add_to ? y[n + c * step] + sum : sum;
  }
}

// Four rows of weights at a time, far apart: kernels_streams.h says why.
INLINE void multiply_code_row(const enum weight_type type, struct narrowed x, float *y, const struct weights *weights,
                              uint32_t begin, uint32_t end, uint32_t add_to) {
  const struct weights w = *weights;
  const struct masks masks = masks_of();
  const uint32_t groups = w.k / GROUP, step = (end - begin + 3) / 4;
  for (uint32_t n = begin; n < begin + step; n++) {
    const uint8_t *rows[4], *factors[4];
    UNROLL for (int c = 0; c < 4; c++) {
      const uint32_t row = min_u32(n + c * step, end - 1);
      rows[c] = w.values + row * w.stride;
      factors[c] = w.factors + row * w.factor_stride;
    }
    v128_t total = splat(0);
    uint32_t b = 0;
    for (; b + 4 <= groups; b += 4) total = add_groups(total, x, rows, factors, b, 4, type, &masks);
    if (b < groups) total = add_groups(total, x, rows, factors, b, groups - b, type, &masks);
    write_lanes(y, total, w.bias, n, step, end, add_to);
  }
}

#endif
